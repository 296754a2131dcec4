//! JSON's numbers, which are written in more than one way.

use serde_json::Value;

/// The largest integer that every reader of JSON keeps exact, 2^53 - 1.
pub const MAX_SAFE_INTEGER: u64 = 9_007_199_254_740_991;

/// A number that is whole and not negative, however it is written: 1 and 1.0 are the same.
#[must_use]
pub fn whole_number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| {
        let number = value.as_f64()?;
        let whole = number.fract() == 0.0 && (0.0..=MAX_SAFE_INTEGER as f64).contains(&number);
        whole.then_some(number as u64)
    })
}
