//! How large a request's capabilities may be, whoever stores them or looks at them.

use std::fmt::Write;

use serde_json::Value;

/// The most alternatives in `firstMatch`, as the API server has it for `spec.capabilities`.
pub const MAX_ALTERNATIVES: usize = 32;
/// The most bytes, as JSON without white space.
pub const MAX_BYTES: usize = 64 * 1024;
/// The most values: every string, number, list, object and so on, the outermost among them.
pub const MAX_NODES: usize = 2_000;
/// How deep lists and objects may stand in each other.
pub const MAX_DEPTH: usize = 32;

/// Capabilities that are too large to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooLarge {
    #[error("have more than {MAX_BYTES} bytes as JSON, which is the most that they may have")]
    Bytes,
    #[error("have more than {MAX_NODES} values, which is the most that they may have")]
    Nodes,
    #[error("have lists and objects in each other that are deeper than {MAX_DEPTH}")]
    Depth,
}

/// Checks the size of the value of `capabilities`. It looks at no more than the bounds allow, however large the value is.
///
/// # Errors
/// The first bound that it is beyond.
pub fn check_size(capabilities: &Value) -> Result<(), TooLarge> {
    let (mut bytes, mut nodes) = (0, 0);
    let mut left = vec![(capabilities, 1)];
    while let Some((value, depth)) = left.pop() {
        nodes += 1;
        bytes += size_alone(value);
        let inner = match value {
            Value::Array(list) => list.len(),
            Value::Object(object) => object.len(),
            _ => 0,
        };
        if depth > MAX_DEPTH && (value.is_array() || value.is_object()) {
            return Err(TooLarge::Depth);
        }
        // What is still to be looked at counts already, so that the list of it stays as short as the bound.
        if nodes + left.len() + inner > MAX_NODES {
            return Err(TooLarge::Nodes);
        }
        match value {
            Value::Array(list) => left.extend(list.iter().map(|inner| (inner, depth + 1))),
            Value::Object(object) => {
                bytes += object.keys().map(|key| text_size(key) + 1).sum::<usize>();
                left.extend(object.values().map(|inner| (inner, depth + 1)));
            }
            _ => {}
        }
        if bytes > MAX_BYTES {
            return Err(TooLarge::Bytes);
        }
    }
    Ok(())
}

/// The bytes of a value without those of what is in it: a list's brackets and commas.
fn size_alone(value: &Value) -> usize {
    let punctuation = |len: usize| 2 + len.saturating_sub(1);
    match value {
        Value::Null | Value::Bool(true) => 4,
        Value::Bool(false) => 5,
        Value::Number(number) => {
            let mut count = Count(0);
            // Counting never fails.
            let _ = write!(count, "{number}");
            count.0
        }
        Value::String(text) => text_size(text),
        Value::Array(list) => punctuation(list.len()),
        Value::Object(object) => punctuation(object.len()),
    }
}

fn text_size(text: &str) -> usize {
    let escape = |byte: u8| match byte {
        b'"' | b'\\' | 8 | 9 | 10 | 12 | 13 => 2,
        0..32 => 6,
        _ => 1,
    };
    2 + text.bytes().map(escape).sum::<usize>()
}

struct Count(usize);

impl Write for Count {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0 += text.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn nested(depth: usize) -> Value {
        (1..depth).fold(json!([]), |inner, _| json!([inner]))
    }

    #[test]
    fn each_bound_holds_to_the_last_value() {
        let text = |bytes: usize| json!("x".repeat(bytes - 2));
        let list = |nodes: usize| Value::from(vec![Value::Null; nodes - 1]);
        for (value, expected) in [
            (text(MAX_BYTES), Ok(())),
            (text(MAX_BYTES + 1), Err(TooLarge::Bytes)),
            (json!({"x".repeat(MAX_BYTES): 1}), Err(TooLarge::Bytes)),
            (list(MAX_NODES), Ok(())),
            (list(MAX_NODES + 1), Err(TooLarge::Nodes)),
            (json!([list(1_500), list(1_500)]), Err(TooLarge::Nodes)),
            (nested(MAX_DEPTH), Ok(())),
            (nested(MAX_DEPTH + 1), Err(TooLarge::Depth)),
        ] {
            assert_eq!(check_size(&value), expected);
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(40, 4_000, 80, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..80).prop_map(Value::from),
                prop::collection::hash_map(".{0,8}", inner, 0..80)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    fn nodes(value: &Value) -> usize {
        1 + match value {
            Value::Array(list) => list.iter().map(nodes).sum(),
            Value::Object(object) => object.values().map(nodes).sum(),
            _ => 0_usize,
        }
    }

    fn depth(value: &Value) -> usize {
        match value {
            Value::Array(list) => 1 + list.iter().map(depth).max().unwrap_or(0),
            Value::Object(object) => 1 + object.values().map(depth).max().unwrap_or(0),
            _ => 0,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn what_is_within_the_bounds_is_what_counting_says(value in any_json()) {
            let within = nodes(&value) <= MAX_NODES
                && depth(&value) <= MAX_DEPTH
                && value.to_string().len() <= MAX_BYTES;
            prop_assert_eq!(check_size(&value).is_ok(), within);
        }
    }
}
