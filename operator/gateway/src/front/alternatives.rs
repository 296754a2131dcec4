//! How many alternatives a request may have: each is merged with what all have in common, before any is looked at.

use serde_json::Value;
use webdriver::error::WebDriverError;

/// As many as the object may have.
const MAX_ALTERNATIVES: usize = 32;

pub fn check(capabilities: &Value) -> Result<(), WebDriverError> {
    match capabilities.get("firstMatch").and_then(Value::as_array).map(Vec::len) {
        Some(length) if length > MAX_ALTERNATIVES => Err(WebDriverError::invalid_argument(
            format!("firstMatch has {length} entries; it may have {MAX_ALTERNATIVES}"),
        )),
        _ => Ok(()),
    }
}
