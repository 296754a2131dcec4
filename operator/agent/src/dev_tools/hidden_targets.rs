//! Hides the targets of the driver's own page from clients.
//!
//! Chromium reports them in every list and event of the domain Target, and attaches to them every client that attaches to
//! all. So they are removed from its messages. A message that names none of them is not parsed: all but a session's first few.

use std::collections::HashSet;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// Chrome's answer for a target that it does not have.
const NO_TARGET: &str = "No target with given id found";
/// The code of a wrong parameter (JSON-RPC 2.0, section 5.1).
const INVALID_PARAMS: i32 = -32602;

/// The targets that one socket hides, and the sessions attached to them.
#[derive(Debug)]
pub struct HiddenTargets {
    target_ids: Vec<String>,
    /// The ids of the client's sessions that are attached to them, without its knowledge.
    session_ids: HashSet<String>,
}

impl HiddenTargets {
    pub fn new(target_ids: Vec<String>) -> Self {
        Self { target_ids, session_ids: HashSet::new() }
    }

    /// The browser's message as its client gets it; `None`: not at all.
    pub fn filter(&mut self, text: Utf8Bytes) -> Option<Utf8Bytes> {
        if !self.ids().any(|id| text.contains(id)) {
            return Some(text);
        }
        let Ok(mut message) = serde_json::from_str::<Value>(&text) else { return Some(text) };
        if message.get("method").is_some() {
            return (!self.is_hidden_event(&message)).then_some(text);
        }
        self.clean(&mut message).then(|| message.to_string().into()).or(Some(text))
    }

    fn ids(&self) -> impl Iterator<Item = &str> {
        self.target_ids.iter().chain(&self.session_ids).map(String::as_str)
    }

    fn is_hidden_target(&self, id: &Value) -> bool {
        id.as_str().is_some_and(|id| self.target_ids.iter().any(|target| target == id))
    }

    fn is_hidden_session(&self, id: &Value) -> bool {
        id.as_str().is_some_and(|id| self.session_ids.contains(id))
    }

    fn is_hidden_event(&mut self, event: &Value) -> bool {
        let params = &event["params"];
        // The domain Page uses target ids as ids of frames: only the domain Target means targets.
        let is_target_event =
            event["method"].as_str().is_some_and(|name| name.starts_with("Target."));
        let names_hidden = self.is_hidden_target(&params["targetInfo"]["targetId"])
            || self.is_hidden_target(&params["targetId"]);
        let session = &params["sessionId"];
        if is_target_event
            && names_hidden
            && event["method"] == "Target.attachedToTarget"
            && let Some(session) = session.as_str()
        {
            self.session_ids.insert(session.to_owned());
        }
        let is_hidden = is_target_event && (names_hidden || self.is_hidden_session(session))
            || self.is_hidden_session(&event["sessionId"]);
        if event["method"] == "Target.detachedFromTarget"
            && let Some(session) = session.as_str()
        {
            self.session_ids.remove(session);
        }
        is_hidden
    }

    /// Removes hidden targets from an answer. Returns whether it had any.
    fn clean(&self, answer: &mut Value) -> bool {
        if self.is_hidden_target(&answer["result"]["targetInfo"]["targetId"]) {
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
        targets.retain(|target| !self.is_hidden_target(&target["targetId"]));
        targets.len() < before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden() -> HiddenTargets {
        HiddenTargets::new(vec!["FC38".to_owned(), "ADC2".to_owned()])
    }

    fn shown(hidden: &mut HiddenTargets, message: &Value) -> Option<Value> {
        let shown = hidden.filter(message.to_string().into())?;
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
        assert!(hidden.session_ids.is_empty());
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
        let shown = HiddenTargets::new(Vec::new()).filter(text.into());
        assert_eq!(shown.as_deref(), Some(text));
    }
}
