//! What holds of BiDi's messages whatever is sent (BiDi, section "handle an incoming message"), beside a model of it.

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use webdriver::bidi::{BrowserMessage, ClientMessage, parse};

const MAX_SAFE: u64 = (1 << 53) - 1;
/// The largest integer that serde_json reads exactly when a fraction of one digit follows it, as in 1.0. Beyond it, it rounds
/// twice, unless built with `float_roundtrip`.
const MAX_EXACT_FRACTION: u64 = MAX_SAFE / 10;

/// A member of a message: often one that is right, or nearly.
fn id() -> impl Strategy<Value = Value> {
    prop_oneof![
        (0..=MAX_SAFE).prop_map(Value::from),
        Just(json!(MAX_SAFE)),
        Just(json!(MAX_SAFE + 1)),
        Just(json!(u64::MAX)),
        any::<i64>().prop_map(Value::from),
        (0..=MAX_EXACT_FRACTION).prop_map(|n| json!(n as f64)),
        (0..MAX_EXACT_FRACTION).prop_map(|n| json!(n as f64 + 0.5)),
        Just(json!("1")),
        Just(Value::Null),
        Just(json!([1])),
    ]
}

fn method() -> impl Strategy<Value = Value> {
    prop_oneof![
        prop::sample::select(vec![
            "session.status",
            "session.end",
            "script.evaluate",
            "goog:cdp.x"
        ])
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

/// JSON that is no object, and what is no JSON.
fn not_an_object() -> impl Strategy<Value = String> {
    prop_oneof![
        id().prop_map(|value| value.to_string()),
        prop::collection::vec(message(), 0..3).prop_map(|list| json!(list).to_string()),
        // An object that ends too early.
        (message(), any::<prop::sample::Index>()).prop_map(|(message, end)| {
            let text = Value::Object(message).to_string();
            text[..end.index(text.len())].to_owned()
        }),
    ]
}

/// A value in a form that would not survive being read and written again.
fn written_value() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "1.00",
        "1e999",
        "12345678901234567890123",
        r#""\u0041\/\ud800""#,
        "[ 1,\t2 ]",
        r#"{"id":1, "id":2}"#,
    ])
}

fn written() -> impl Strategy<Value = Vec<String>> {
    let member =
        ("[x-z]{1,3}", written_value()).prop_map(|(name, value)| format!("\"{name}\":{value}"));
    prop::collection::vec(member, 0..3)
}

fn written_params() -> impl Strategy<Value = String> {
    prop::option::of(written_value()).prop_map(|value| {
        value.map_or_else(|| "{ }".to_owned(), |value| format!("{{\"a\": {value}}}"))
    })
}

/// The id that an error has: "an integer greater than or equal to zero", however it is written.
fn model_id(message: &Map<String, Value>) -> Option<u64> {
    let written = message.get("id")?.as_number()?.to_string();
    let (whole, fraction) = written.split_once('.').unwrap_or((&written, "0"));
    whole.parse().ok().filter(|_| fraction == "0")
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
        if let ClientMessage::Invalid { error, .. } = parse(&text) {
            prop_assert!(!error.message.is_empty());
        }
        let _ = BrowserMessage::parse(&text).map(|message| message.with_id(1));
    }

    #[test]
    fn what_is_no_object_has_no_id(text in not_an_object()) {
        let ClientMessage::Invalid { id, error } = parse(&text) else { panic!("taken for a command") };
        prop_assert_eq!((id, error.code.as_str()), (None, "invalid argument"));
    }

    #[test]
    fn a_message_is_what_the_model_says(message in message()) {
        let text = Value::Object(message.clone()).to_string();
        match parse(&text) {
            ClientMessage::Command(command) => {
                prop_assert_eq!(model_error(&message), None);
                prop_assert_eq!(Some(command.id), model_id(&message));
                prop_assert_eq!(&message["method"], &json!(command.method));
                prop_assert_eq!(&message["params"], &Value::Object(command.params()));
            }
            ClientMessage::Invalid { id, error } => {
                prop_assert_eq!(model_error(&message), Some(error.code.as_str()));
                prop_assert_eq!(id, model_id(&message));
            }
        }
    }

    #[test]
    fn another_id_changes_nothing_else(message in message(), id in 0..=MAX_SAFE) {
        let text = Value::Object(message.clone()).to_string();
        let other = BrowserMessage::parse(&text).unwrap().with_id(id);
        let mut expected = message;
        expected.insert("id".to_owned(), id.into());
        prop_assert_eq!(serde_json::from_str::<Value>(&other).unwrap(), Value::Object(expected));
    }

    #[test]
    fn what_is_sent_on_stands_as_it_was_written(
        before in written(),
        after in written(),
        params in written_params(),
        id in 0..=MAX_SAFE,
        other in 0..=MAX_SAFE,
    ) {
        let rest = [before, vec![format!("\"params\":{params}")], after].concat().join(",");
        let text = format!(r#"{{"method":"script.evaluate", "id" : {id} ,{rest}}}"#);
        let ClientMessage::Command(command) = parse(&text) else { panic!("{text} is a command") };
        prop_assert_eq!(command.id, id);
        let expected = format!(r#"{{"id":{other},"method":"script.evaluate",{rest}}}"#);
        prop_assert_eq!(command.with_id(other), expected);
    }
}
