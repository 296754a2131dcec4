//! The parser of BiDi's messages never panics, answers as the specification has it, and gives ids as they were.
#![no_main]

mod input;

use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};
use webdriver::bidi::{BrowserMessage, ClientMessage, Command, parse};

fuzz_target!(|bytes: &[u8]| {
    if let Some(text) = input::text(bytes, NAMES, TEXTS) {
        check(&text);
    }
});

const NAMES: &[&str] = &["id", "method", "params", "goog:channel", "a"];
const TEXTS: &[&str] = &[
    "session.status",
    "session.new",
    "session.end",
    "script.evaluate",
    "goog:cdp.sendCommand",
    "permissions.",
    "foo.bar",
    "",
    "\u{7f}\"\\",
];

fn check(text: &str) {
    let incoming = parse(text);
    let outgoing = BrowserMessage::parse(text);
    if let Some(message) = &outgoing {
        let other = message.with_id(7);
        assert_eq!(BrowserMessage::parse(&other).and_then(|message| message.id()), Some(7));
    }
    match (serde_json::from_str(text), incoming) {
        (Ok(Value::Object(message)), ClientMessage::Command(command)) => {
            check_command(&message, &command);
        }
        (Ok(Value::Object(message)), ClientMessage::Invalid { id, error }) => {
            assert_eq!(id.map(|id| id as f64), model_id(&message).filter(|_| id.is_some()));
            assert!(id.is_some() || model_id(&message).is_none_or(|id| id > MAX_SAFE));
            let is_text = message.get("method").is_some_and(Value::is_string);
            assert!(error.code.as_str() == "invalid argument" || is_text);
        }
        (Ok(_), incoming) => {
            assert!(matches!(incoming, ClientMessage::Invalid { id: None, .. }));
            assert!(outgoing.is_none());
        }
        // Numbers that are too large and lists that are too deep are no value here; a browser decides about them.
        (Err(_), _) => {}
    }
}

const MAX_SAFE: f64 = 9_007_199_254_740_991.0;

fn model_id(message: &Map<String, Value>) -> Option<f64> {
    message.get("id")?.as_f64().filter(|id| *id >= 0.0 && id.fract() == 0.0)
}

fn check_command(message: &Map<String, Value>, command: &Command<'_>) {
    assert_eq!(message["method"], command.method.as_str());
    assert_eq!(model_id(message), Some(command.id as f64));
    assert_eq!(message["params"], Value::Object(command.params()));
    let mut expected = message.clone();
    expected.insert("id".to_owned(), 7.into());
    let other: Value = serde_json::from_str(&command.with_id(7)).expect("the copy is JSON too");
    assert_eq!(other, Value::Object(expected));
}
