//! What a driver says of an error, without what belongs to the driver alone: its own session id, and addresses in its memory.

use agent_api::bind::Driver;
use serde_json::Value;

/// What geckodriver answers, with status 500, to a body that is no UTF-8. It is the client's error.
const NOT_UTF8: &str = "Request body wasn't valid UTF-8";

/// Cleans the `message` and `stacktrace` of an error. `own_id` becomes `id`. Returns whether anything changed.
pub fn clean(error: &mut Value, own_id: &str, id: &str) -> bool {
    let mut changed = false;
    for name in ["message", "stacktrace"] {
        if let Some(Value::String(text)) = error.get_mut(name) {
            let cleaned = cleaned(text, own_id, id);
            changed |= cleaned != *text;
            *text = cleaned;
        }
    }
    changed
}

/// Whether a driver's error is one of the client's that it takes for its own.
pub fn is_not_utf8(driver: Driver, error: &Value) -> bool {
    driver == Driver::Geckodriver && error.get("message").is_some_and(|message| message == NOT_UTF8)
}

/// A text without the lines of a native stack, and with another session id.
pub fn cleaned(text: &str, own_id: &str, id: &str) -> String {
    let kept: Vec<&str> = text.lines().filter(|line| !is_native_frame(line)).collect();
    let kept = if kept.len() == text.lines().count() { text.to_owned() } else { kept.join("\n") };
    if own_id.is_empty() { kept } else { kept.replace(own_id, id) }
}

/// As in `#3 0x55b1f73f297e <unknown>`.
fn is_native_frame(line: &str) -> bool {
    let rest = line.trim_start().strip_prefix('#');
    rest.and_then(|rest| rest.split_once(" 0x"))
        .is_some_and(|(number, _)| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn no_id_and_no_address_of_the_driver_is_shown() {
        let mut error = json!({
            "error": "no such frame",
            "message": "no frame in session 0f3a\n  (Session info: chrome=156.0)",
            "stacktrace": "#0 0x55b1f73f297e <unknown>\n#1 0x7f00 <unknown>\nmine@a.js:1:2\n",
        });
        assert!(clean(&mut error, "0f3a", "5f0c"));
        assert_eq!(
            error,
            json!({
                "error": "no such frame",
                "message": "no frame in session 5f0c\n  (Session info: chrome=156.0)",
                "stacktrace": "mine@a.js:1:2",
            })
        );
        let mut plain = json!({"message": "#1 of 2: at 0x12\n", "stacktrace": ""});
        assert!(!clean(&mut plain, "0f3a", "5f0c"), "a page's own words stay");
    }

    #[test]
    fn a_body_that_is_no_utf_8_is_the_clients_error() {
        let error = json!({"error": "unknown error", "message": NOT_UTF8, "stacktrace": ""});
        assert!(is_not_utf8(Driver::Geckodriver, &error));
        assert!(!is_not_utf8(Driver::Chromedriver, &error));
        assert!(!is_not_utf8(Driver::Geckodriver, &json!({"message": "another"})));
    }
}
