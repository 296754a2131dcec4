//! What holds of BiDi's messages whatever is sent (BiDi, section "handle an incoming message"), beside a model of it.

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use wire::bidi::{Incoming, Outgoing, parse};

const MAX_SAFE: u64 = (1 << 53) - 1;

/// A member of a message: often one that is right, or nearly.
fn id() -> impl Strategy<Value = Value> {
    prop_oneof![
        (0..=MAX_SAFE).prop_map(Value::from),
        Just(json!(MAX_SAFE)),
        Just(json!(MAX_SAFE + 1)),
        Just(json!(u64::MAX)),
        any::<i64>().prop_map(Value::from),
        (0..1000_u32).prop_map(|n| json!(f64::from(n))),
        Just(json!(1.5)),
        Just(json!("1")),
        Just(Value::Null),
        Just(json!([1])),
    ]
}

fn method() -> impl Strategy<Value = Value> {
    prop_oneof![
        prop::sample::select(vec!["session.status", "session.end", "script.evaluate", "goog:cdp.x"])
            .prop_map(Value::from),
        "[a-z.]{0,12}".prop_map(Value::from),
        Just(json!(1)),
        Just(Value::Null),
    ]
}

fn params() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!({})),
        Just(json!({"a": [1, {"id": 3}]})),
        Just(json!([])),
        Just(Value::Null),
        Just(json!("x")),
    ]
}

fn message() -> impl Strategy<Value = Map<String, Value>> {
    let member = |strategy: BoxedStrategy<Value>| prop::option::weighted(0.85, strategy);
    (
        member(id().boxed()),
        member(method().boxed()),
        member(params().boxed()),
        prop::collection::btree_map("[x-z]{1,3}", any::<u32>().prop_map(Value::from), 0..3),
    )
        .prop_map(|(id, method, params, more)| {
            let mut message: Map<String, Value> = more.into_iter().collect();
            for (name, value) in [("id", id), ("method", method), ("params", params)] {
                if let Some(value) = value {
                    message.insert(name.to_owned(), value);
                }
            }
            message
        })
}

/// The id that an error has: "an integer greater than or equal to zero", however it is written.
fn model_id(message: &Map<String, Value>) -> Option<u64> {
    let id = message.get("id")?;
    id.as_u64().or_else(|| {
        let number = id.as_f64()?;
        (number >= 0.0 && number.fract() == 0.0 && number <= MAX_SAFE as f64)
            .then_some(number as u64)
    })
}

/// The error code of a message, `None` for a command.
fn model_error(message: &Map<String, Value>) -> Option<&'static str> {
    const KNOWN: [&str; 3] = ["session.status", "session.end", "script.evaluate"];
    let Some(method) = message.get("method").and_then(Value::as_str) else {
        return Some("invalid argument");
    };
    if !KNOWN.contains(&method) && !method.contains(':') {
        return Some("unknown command");
    }
    let is_command = model_id(message).is_some_and(|id| id <= MAX_SAFE)
        && message.get("params").is_some_and(Value::is_object);
    (!is_command).then_some("invalid argument")
}

proptest! {
    #[test]
    fn any_text_is_answered(text in any::<String>()) {
        if let Incoming::Invalid { error, .. } = parse(&text) {
            prop_assert!(!error.message.is_empty());
        }
        let _ = Outgoing::parse(&text).map(|message| message.with_id(1));
    }

    #[test]
    fn a_message_is_what_the_model_says(message in message()) {
        let text = Value::Object(message.clone()).to_string();
        match parse(&text) {
            Incoming::Command(command) => {
                prop_assert_eq!(model_error(&message), None);
                prop_assert_eq!(Some(command.id), model_id(&message));
                prop_assert_eq!(&message["method"], &json!(command.method));
                prop_assert_eq!(&message["params"], &Value::Object(command.params()));
            }
            Incoming::Invalid { id, error } => {
                prop_assert_eq!(model_error(&message), Some(error.code.as_str()));
                prop_assert_eq!(id, model_id(&message));
            }
        }
    }

    #[test]
    fn another_id_changes_nothing_else(message in message(), id in 0..=MAX_SAFE) {
        let text = Value::Object(message.clone()).to_string();
        let other = Outgoing::parse(&text).unwrap().with_id(id);
        let mut expected = message;
        expected.insert("id".to_owned(), id.into());
        prop_assert_eq!(serde_json::from_str::<Value>(&other).unwrap(), Value::Object(expected));
    }
}
