//! WebDriver BiDi's messages (BiDi, section "Transport", "handle an incoming message").

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, MapAccess, Visitor},
};
use serde_json::{Map, Value, json, value::RawValue};

use crate::{
    error::{ErrorCode, WebDriverError},
    number::{MAX_SAFE_INTEGER, whole_number},
};

/// A message from a client.
#[derive(Debug)]
pub enum ClientMessage<'a> {
    /// A well-formed command with a known name.
    Command(Command<'a>),
    /// Anything else, and the error to answer.
    Invalid {
        /// The message's id, where it has a usable one.
        id: Option<u64>,
        error: WebDriverError,
    },
}

/// A command, as it stands in its message.
#[derive(Debug)]
pub struct Command<'a> {
    /// Echoed in the answer.
    pub id: u64,
    pub method: String,
    envelope: Envelope<'a>,
}

impl Command<'_> {
    #[must_use]
    pub fn params(&self) -> Map<String, Value> {
        // `parse` has seen that it is an object.
        self.envelope.read("params").unwrap_or_default()
    }

    /// The same message under another id; all else stays as it was written.
    #[must_use]
    pub fn with_id(&self, id: u64) -> String {
        self.envelope.with_id(id)
    }
}

#[must_use]
pub fn parse(text: &str) -> ClientMessage<'_> {
    let invalid = |id, code, message: &str| ClientMessage::Invalid {
        id,
        error: WebDriverError::new(code, message),
    };
    let Some(envelope) = Envelope::parse(text) else {
        return invalid(None, ErrorCode::InvalidArgument, "the message is not a JSON object");
    };
    let id = envelope.id();
    let Some(method) = envelope.read::<String>("method") else {
        return invalid(id, ErrorCode::InvalidArgument, "method must be a string");
    };
    if !is_known(&method) {
        return invalid(id, ErrorCode::UnknownCommand, &format!("no command is called {method:?}"));
    }
    let Some(usable) = id.filter(|id| *id <= MAX_SAFE_INTEGER) else {
        return invalid(
            id,
            ErrorCode::InvalidArgument,
            "id must be an integer from 0 to 9007199254740991",
        );
    };
    if !envelope.get("params").is_some_and(|params| params.starts_with('{')) {
        return invalid(id, ErrorCode::InvalidArgument, "params must be an object");
    }
    ClientMessage::Command(Command { id: usable, method, envelope })
}

/// A message from a browser: an answer, if it has an id, else an event.
#[derive(Debug)]
pub struct BrowserMessage<'a>(Envelope<'a>);

impl<'a> BrowserMessage<'a> {
    /// Reads one text message; `None` where it is no JSON object.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        Envelope::parse(text).map(Self)
    }

    /// The id of the command that it answers.
    #[must_use]
    pub fn id(&self) -> Option<u64> {
        self.0.id()
    }

    /// The same answer under another id.
    #[must_use]
    pub fn with_id(&self, id: u64) -> String {
        self.0.with_id(id)
    }
}

/// The members of a message, each as it was written.
#[derive(Debug)]
struct Envelope<'a>(Vec<(Cow<'a, str>, &'a str)>);

impl<'a> Envelope<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The last member of a name counts, as in every JSON reader of the browsers.
    fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().rev().find(|(key, _)| key == name).map(|(_, raw)| *raw)
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_str(self.get(name)?).ok()
    }

    fn id(&self) -> Option<u64> {
        whole_number(&self.read("id")?)
    }

    fn with_id(&self, id: u64) -> String {
        let length: usize = self.0.iter().map(|(key, raw)| key.len() + raw.len() + 4).sum();
        let mut text = String::with_capacity(length + 32);
        text.push_str("{\"id\":");
        text.push_str(&id.to_string());
        for (key, raw) in self.0.iter().filter(|(key, _)| key != "id") {
            text.push(',');
            text.push_str(&Value::from(key.as_ref()).to_string());
            text.push(':');
            text.push_str(raw);
        }
        text.push('}');
        text
    }
}

impl<'de> Deserialize<'de> for Envelope<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Envelope<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(4);
                while let Some(Key(key)) = map.next_key()? {
                    members.push((key, map.next_value::<&'de RawValue>()?.get()));
                }
                Ok(Envelope(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// A member's name, borrowed from the message where it holds no escape.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// The answer to a frame that is not text.
#[must_use]
pub fn not_text() -> String {
    failure(None, &WebDriverError::invalid_argument("messages must be text frames"))
}

#[must_use]
pub fn success(id: u64, result: &Value) -> String {
    json!({"type": "success", "id": id, "result": result}).to_string()
}

/// An error response; its `id` is there even for null.
#[must_use]
pub fn failure(id: Option<u64>, error: &WebDriverError) -> String {
    json!({"type": "error", "id": id, "error": error.code.as_str(), "message": error.message})
        .to_string()
}

/// Whether there is such a command: the specification's own, those of the specifications that extend it, and every
/// vendor's (their names have a colon).
fn is_known(method: &str) -> bool {
    COMMANDS.binary_search(&method).is_ok()
        || method.contains(':')
        || ["bluetooth.", "permissions.", "speculation.", "userAgentClientHints."]
            .iter()
            .any(|module| method.starts_with(module))
}

/// The set of all command names of the specification, sorted.
const COMMANDS: &[&str] = &[
    "browser.close",
    "browser.createUserContext",
    "browser.getClientWindows",
    "browser.getUserContexts",
    "browser.removeUserContext",
    "browser.setClientWindowState",
    "browser.setDownloadBehavior",
    "browsingContext.activate",
    "browsingContext.captureScreenshot",
    "browsingContext.close",
    "browsingContext.create",
    "browsingContext.getTree",
    "browsingContext.handleUserPrompt",
    "browsingContext.locateNodes",
    "browsingContext.navigate",
    "browsingContext.print",
    "browsingContext.reload",
    "browsingContext.setBypassCSP",
    "browsingContext.setViewport",
    "browsingContext.startScreencast",
    "browsingContext.stopScreencast",
    "browsingContext.traverseHistory",
    "emulation.setForcedColorsModeThemeOverride",
    "emulation.setGeolocationOverride",
    "emulation.setLocaleOverride",
    "emulation.setMediaFeaturesOverride",
    "emulation.setNetworkConditions",
    "emulation.setScreenOrientationOverride",
    "emulation.setScreenSettingsOverride",
    "emulation.setScriptingEnabled",
    "emulation.setScrollbarTypeOverride",
    "emulation.setTimezoneOverride",
    "emulation.setTouchOverride",
    "emulation.setUserAgentOverride",
    "emulation.setViewportMetaOverride",
    "input.performActions",
    "input.releaseActions",
    "input.setFiles",
    "network.addDataCollector",
    "network.addIntercept",
    "network.continueRequest",
    "network.continueResponse",
    "network.continueWithAuth",
    "network.disownData",
    "network.failRequest",
    "network.getData",
    "network.provideResponse",
    "network.removeDataCollector",
    "network.removeIntercept",
    "network.setCacheBehavior",
    "network.setExtraHeaders",
    "script.addPreloadScript",
    "script.callFunction",
    "script.disown",
    "script.evaluate",
    "script.getRealms",
    "script.removePreloadScript",
    "session.end",
    "session.new",
    "session.status",
    "session.subscribe",
    "session.unsubscribe",
    "storage.deleteCookies",
    "storage.getCookies",
    "storage.setCookie",
    "webExtension.install",
    "webExtension.uninstall",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_names_are_sorted_for_the_search() {
        assert!(COMMANDS.is_sorted());
        assert_eq!(COMMANDS.len(), 67);
    }

    #[test]
    fn what_is_no_command_is_answered_with_its_id_and_the_right_code() {
        let (argument, unknown) = ("invalid argument", "unknown command");
        for (text, id, code) in [
            ("Hello", None, argument),
            ("{", None, argument),
            ("[]", None, argument),
            ("null", None, argument),
            ("42", None, argument),
            ("{}", None, argument),
            (r#"{"id":1}"#, Some(1), argument),
            (r#"{"id":2,"method":"session.status"}"#, Some(2), argument),
            (r#"{"id":2,"method":"session.status","params":null}"#, Some(2), argument),
            (r#"{"id":2,"method":"session.status","params":[]}"#, Some(2), argument),
            (r#"{"id":-1,"method":"session.status","params":{}}"#, None, argument),
            (r#"{"id":"a","method":"session.status","params":{}}"#, None, argument),
            (r#"{"id":1.5,"method":"session.status","params":{}}"#, None, argument),
            (r#"{"id":null,"method":"session.status","params":{}}"#, None, argument),
            (r#"{"method":"session.status","params":{}}"#, None, argument),
            (r#"{"id":"a","method":"foo.bar","params":{}}"#, None, unknown),
            (r#"{"id":7,"method":"foo.bar"}"#, Some(7), unknown),
            (r#"{"id":7,"method":""}"#, Some(7), unknown),
            (r#"{"id":9,"method":1,"params":{}}"#, Some(9), argument),
            (
                r#"{"id":9007199254740992,"method":"session.status","params":{}}"#,
                Some(9_007_199_254_740_992),
                argument,
            ),
        ] {
            let ClientMessage::Invalid { id: found, error } = parse(text) else {
                panic!("{text} was taken for a command");
            };
            assert_eq!((found, error.code.as_str()), (id, code), "{text}");
        }
    }

    #[test]
    fn a_command_may_carry_more_than_it_must() {
        for text in [
            r#"{"id":1,"method":"session.status","params":{"foo":1},"goog:channel":"a"}"#,
            r#"{"id":1.0,"method":"session.status","params":{}}"#,
            r#"{"id":9007199254740991,"method":"session.status","params":{}}"#,
            r#"{"id":9007199254740991.0,"method":"session.status","params":{}}"#,
            r#"{"id":0,"method":"goog:cdp.sendCommand","params":{}}"#,
        ] {
            assert!(matches!(parse(text), ClientMessage::Command(_)), "{text}");
        }
    }

    #[test]
    fn a_message_under_another_id_is_else_as_it_was_written() {
        let text = r#"{"method":"script.evaluate", "params": {"n": 1.00, "id":3},"id":7.0,"goog:channel":"a"}"#;
        let ClientMessage::Command(command) = parse(text) else { panic!("not a command") };
        assert_eq!(
            command.with_id(12),
            r#"{"id":12,"method":"script.evaluate","params":{"n": 1.00, "id":3},"goog:channel":"a"}"#
        );
        assert_eq!(json!(command.params()), json!({"n": 1.0, "id": 3}));
    }

    #[test]
    fn an_answer_has_an_id_and_an_event_has_none() {
        let answer = BrowserMessage::parse(r#"{"type":"success","id":12,"result":{}}"#).unwrap();
        assert_eq!(answer.id(), Some(12));
        assert_eq!(answer.with_id(7), r#"{"id":7,"type":"success","result":{}}"#);
        let event =
            BrowserMessage::parse(r#"{"type":"event","method":"log.entryAdded","params":{}}"#);
        assert_eq!(event.unwrap().id(), None);
        assert!(BrowserMessage::parse("[]").is_none());
    }

    #[test]
    fn an_error_without_an_id_says_null() {
        let text = failure(None, &WebDriverError::invalid_argument("no"));
        let json: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            json,
            json!({"type": "error", "id": null, "error": "invalid argument", "message": "no"})
        );
    }
}
