//! What is kept of a session: what decisions need. Objects are up to 1.5 MB each, and records stay for long.

use crds::{
    BrowserSession, BrowserSessionSpec, BrowserSessionStatus, Reason, capabilities::Capabilities,
};
use serde_json::Map;
use support::objects::{LAST_APPLIED, Sent, Unreadable, fitting};

use crate::{pods::Problem, shortened::shortened};

/// What is kept of the message of a session that has ended, in bytes: nothing here reads it any more.
const MAX_ENDED_MESSAGE: usize = 256;

/// In the stores alone, on a session that cannot be read: why.
const UNREADABLE: &str = "browser-operator.io/unreadable";

/// The session that stands in the stores for an object; of one that cannot be read, what is known of it.
pub fn kept(sent: Sent<BrowserSession>) -> Option<BrowserSession> {
    let (mut session, problem) = match sent {
        Sent::Readable(session) => (session, None),
        Sent::Unreadable(unreadable) => {
            let Unreadable { metadata, problem, spec, status } = *unreadable;
            let spec = fitting(&spec).or_else(|| fitting(&Map::new()))?;
            (BrowserSession { metadata, spec, status: fitting(&status) }, Some(problem))
        }
    };
    slim(&mut session);
    if let Some(problem) = problem {
        let annotations = session.metadata.annotations.get_or_insert_default();
        annotations.insert(UNREADABLE.to_owned(), problem);
    }
    Some(session)
}

/// Why a session cannot be read, and so cannot be had.
pub fn unreadable(session: &BrowserSession) -> Option<Problem> {
    let message = session.metadata.annotations.as_ref()?.get(UNREADABLE)?.clone();
    Some(Problem { reason: Reason::FieldInvalid, message })
}

/// Lets go of what no decision needs any more.
fn slim(session: &mut BrowserSession) {
    let (is_ready, is_terminal) = (session.is_ready(), session.is_terminal());
    let BrowserSession { metadata, spec, status } = session;
    metadata.managed_fields = None;
    if let Some(annotations) = &mut metadata.annotations {
        annotations.remove(LAST_APPLIED);
        // Nobody but this process says so.
        annotations.remove(UNREADABLE);
    }
    if is_ready || is_terminal {
        let BrowserSessionSpec {
            capabilities,
            new_session_parameters,
            start_url,
            user_metadata,
            ..
        } = spec;
        *capabilities = Capabilities::default();
        *new_session_parameters = None;
        *start_url = None;
        *user_metadata = None;
    }
    if is_terminal {
        spec.features = None;
        spec.proxy = None;
        spec.extensions = None;
        spec.allowed_domains = None;
        spec.private_hosts = Vec::new();
        metadata.annotations = None;
        metadata.labels = None;
        if let Some(BrowserSessionStatus { capabilities, conditions, .. }) = status {
            *capabilities = None;
            for condition in conditions {
                condition.message = shortened(&condition.message, MAX_ENDED_MESSAGE).into_owned();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn sent(extra: &str, spec: &str, phase: Value) -> Sent<BrowserSession> {
        let status = json!({"phase": phase, "sessionId": "i", "podName": "p", "capabilities": {"browserName": "chrome"},
            "conditions": [{"type": "Ready", "status": if phase == "Ready" { "True" } else { "False" },
                "reason": "Starting", "message": "m", "lastTransitionTime": "2026-01-01T00:00:00Z"}]});
        let text = format!(
            r#"{{"apiVersion":"browser-operator.io/v1alpha1","kind":"BrowserSession",
            "metadata":{{"name":"s","namespace":"n","uid":"u","resourceVersion":"7","annotations":{{{extra}}}}},
            "spec":{spec},"status":{status}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    fn size(session: &BrowserSession) -> usize {
        serde_json::to_vec(session).unwrap().len()
    }

    #[test]
    fn of_a_session_that_cannot_be_read_what_ends_it_is_kept() {
        let deep = format!("{}1{}", r#"{"a":"#.repeat(9_900), "}".repeat(9_900));
        let spec = format!(
            r#"{{"capabilities":{{"alwaysMatch":{{"x:y":{deep}}}}},"ttlSecondsAfterFinished":5}}"#
        );
        let session = kept(sent("", &spec, json!("Starting"))).unwrap();
        assert_eq!(session.spec.ttl_seconds_after_finished, Some(5));
        assert_eq!(session.status.as_ref().unwrap().pod_name.as_deref(), Some("p"));
        let problem = unreadable(&session).unwrap();
        assert_eq!(problem.reason, Reason::FieldInvalid);
        assert!(problem.message.starts_with("spec.capabilities is nested too deep"), "{problem:?}");
        assert!(size(&session) < 2048, "{}", size(&session));
    }

    #[test]
    fn nobody_can_make_a_session_look_as_if_it_could_not_be_read() {
        let forged = r#""browser-operator.io/unreadable":"I say so""#;
        assert_eq!(unreadable(&kept(sent(forged, "{}", json!("Pending"))).unwrap()), None);
    }

    #[test]
    fn capabilities_go_when_they_are_bound_and_a_record_is_small() {
        let large = "x".repeat(60_000);
        let spec =
            json!({"capabilities": {"alwaysMatch": {"x:y": large}}, "userMetadata": {"a": "b"},
            "ttlSecondsAfterFinished": 5})
            .to_string();
        let kept = |phase| kept(sent(r#""a":"b""#, &spec, phase)).unwrap();
        let pending = kept(json!("Pending"));
        assert!(size(&pending) > 60_000 && pending.spec.user_metadata.is_some());
        let ready = kept(json!("Ready"));
        assert!(size(&ready) < 2048 && ready.spec.user_metadata.is_none());
        assert!(ready.status.unwrap().capabilities.is_some(), "its record has them");
        let record = kept(json!("Completed"));
        assert!(size(&record) < 1024, "{}", size(&record));
        assert_eq!(record.spec.ttl_seconds_after_finished, Some(5));
    }
}
