//! The parser of BiDi's messages never panics, and gives ids as they were.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use wire::bidi::{Incoming, Outgoing, parse};

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Incoming::Command(command) = parse(text) {
        let message: Value = serde_json::from_str(text).expect("a command is JSON");
        assert_eq!(message["method"], command.method.as_str());
        assert_eq!(message["id"].as_f64(), Some(command.id as f64));
        let other: Value = serde_json::from_str(&command.with_id(7)).expect("so is its copy");
        assert_eq!((&other["id"], &other["params"]), (&Value::from(7), &message["params"]));
    }
    if let Some(message) = Outgoing::parse(text) {
        let other = message.with_id(7);
        assert_eq!(Outgoing::parse(&other).and_then(|message| message.id()), Some(7));
    }
});
