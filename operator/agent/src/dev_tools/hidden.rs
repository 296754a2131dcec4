//! Targets that clients are not shown: those of the driver's own page.
//!
//! Chromium shows them to whoever asks, in every list and event of the domain Target, and attaches to them whoever attaches
//! to all. So what it says of them is taken out of its messages. Of a message that names none of them, which is all but a
//! few of a session's first ones, no more is read than that.

use std::collections::HashSet;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// What Chrome answers for a target that it does not have.
const NO_TARGET: &str = "No target with given id found";
/// The code of a parameter that is wrong (JSON-RPC 2.0, section 5.1).
const INVALID_PARAMS: i32 = -32602;

/// What one socket does not show.
#[derive(Debug)]
pub struct Hidden {
    /// Ids of targets.
    targets: Vec<String>,
    /// Ids of the client's own attachments to them, which it did not hear of.
    sessions: HashSet<String>,
}

impl Hidden {
    /// A socket that does not show these targets.
    pub fn new(targets: Vec<String>) -> Self {
        Self { targets, sessions: HashSet::new() }
    }

    /// What of the browser's message its client is shown.
    pub fn show(&mut self, text: Utf8Bytes) -> Option<Utf8Bytes> {
        if !self.ids().any(|id| text.contains(id)) {
            return Some(text);
        }
        let Ok(mut message) = serde_json::from_str::<Value>(&text) else { return Some(text) };
        if message.get("method").is_some() {
            return (!self.is_event_of_one(&message)).then_some(text);
        }
        self.clean(&mut message).then(|| message.to_string().into()).or(Some(text))
    }

    fn ids(&self) -> impl Iterator<Item = &str> {
        self.targets.iter().chain(&self.sessions).map(String::as_str)
    }

    fn is_target(&self, id: &Value) -> bool {
        id.as_str().is_some_and(|id| self.targets.iter().any(|target| target == id))
    }

    fn is_session(&self, id: &Value) -> bool {
        id.as_str().is_some_and(|id| self.sessions.contains(id))
    }

    fn is_event_of_one(&mut self, event: &Value) -> bool {
        let params = &event["params"];
        // Page's frames have the ids of their targets: only the domain Target speaks of a target as such.
        let is_targets = event["method"].as_str().is_some_and(|name| name.starts_with("Target."));
        let names_one = self.is_target(&params["targetInfo"]["targetId"])
            || self.is_target(&params["targetId"]);
        let session = &params["sessionId"];
        if is_targets
            && names_one
            && event["method"] == "Target.attachedToTarget"
            && let Some(session) = session.as_str()
        {
            self.sessions.insert(session.to_owned());
        }
        let is_of_one = is_targets && (names_one || self.is_session(session))
            || self.is_session(&event["sessionId"]);
        if event["method"] == "Target.detachedFromTarget"
            && let Some(session) = session.as_str()
        {
            self.sessions.remove(session);
        }
        is_of_one
    }

    /// Takes them out of an answer. Gives whether it had any.
    fn clean(&self, answer: &mut Value) -> bool {
        if self.is_target(&answer["result"]["targetInfo"]["targetId"]) {
            if let Value::Object(answer) = answer {
                answer.remove("result");
                let error = json!({"code": INVALID_PARAMS, "message": NO_TARGET});
                answer.insert("error".to_owned(), error);
            }
            return true;
        }
        let Some(targets) = answer.pointer_mut("/result/targetInfos").and_then(Value::as_array_mut)
        else {
            return false;
        };
        let before = targets.len();
        targets.retain(|target| !self.is_target(&target["targetId"]));
        targets.len() < before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden() -> Hidden {
        Hidden::new(vec!["FC38".to_owned(), "ADC2".to_owned()])
    }

    fn shown(hidden: &mut Hidden, message: &Value) -> Option<Value> {
        let shown = hidden.show(message.to_string().into())?;
        Some(serde_json::from_str(&shown).unwrap())
    }

    #[test]
    fn events_of_a_hidden_target_are_not_shown() {
        let mut hidden = hidden();
        let of = |id: &str| json!({"targetId": id, "type": "other"});
        for (method, params, is_shown) in [
            ("Target.targetCreated", json!({"targetInfo": of("FC38")}), false),
            ("Target.targetCreated", json!({"targetInfo": of("46AA")}), true),
            ("Target.targetInfoChanged", json!({"targetInfo": of("ADC2")}), false),
            (
                "Target.attachedToTarget",
                json!({"sessionId": "5944", "targetInfo": of("FC38")}),
                false,
            ),
            (
                "Target.attachedToTarget",
                json!({"sessionId": "473B", "targetInfo": of("46AA")}),
                true,
            ),
            (
                "Target.receivedMessageFromTarget",
                json!({"sessionId": "5944", "message": "{}"}),
                false,
            ),
            ("Target.detachedFromTarget", json!({"sessionId": "473B"}), true),
            ("Target.targetDestroyed", json!({"targetId": "FC38"}), false),
            ("Target.targetCrashed", json!({"targetId": "46AA"}), true),
            // A page may say what it wants.
            ("Runtime.consoleAPICalled", json!({"args": [{"value": "FC38"}]}), true),
        ] {
            let event = json!({"method": method, "params": params});
            let expected = is_shown.then(|| event.clone());
            assert_eq!(shown(&mut hidden, &event), expected, "{event}");
        }
        let event = json!({"method": "Inspector.detached", "params": {}, "sessionId": "5944"});
        assert_eq!(shown(&mut hidden, &event), None);
        let event = json!({"method": "Inspector.detached", "params": {}, "sessionId": "473B"});
        assert!(shown(&mut hidden, &event).is_some());
        let event = json!({"method": "Target.detachedFromTarget", "params": {"sessionId": "5944"}});
        assert_eq!(shown(&mut hidden, &event), None);
        assert!(hidden.sessions.is_empty());
    }

    #[test]
    fn answers_come_without_hidden_targets() {
        let targets = |ids: &[&str]| {
            let targets: Vec<_> = ids.iter().map(|id| json!({"targetId": id})).collect();
            json!({"id": 1, "result": {"targetInfos": targets}, "sessionId": "473B"})
        };
        let one = |id| json!({"id": 2, "result": {"targetInfo": {"targetId": id}}});
        let error = json!({"code": INVALID_PARAMS, "message": NO_TARGET});
        let other = json!({"id": 3, "result": {"value": "FC38"}});
        for (answer, expected) in [
            (targets(&["FC38", "46AA", "ADC2"]), targets(&["46AA"])),
            (targets(&["46AA"]), targets(&["46AA"])),
            (one("FC38"), json!({"id": 2, "error": error})),
            (one("46AA"), one("46AA")),
            (other.clone(), other),
        ] {
            assert_eq!(shown(&mut hidden(), &answer), Some(expected));
        }
    }

    #[test]
    fn a_session_without_hidden_targets_is_carried_as_it_is() {
        let text = r#"{"id":1, "result" : {"targetInfos":[{"targetId":"FC38"}]}}"#;
        let shown = Hidden::new(Vec::new()).show(text.into());
        assert_eq!(shown.as_deref(), Some(text));
    }
}
