//! The history of one session's object, as the watch showed it. Pure.

use crds::{BrowserSession, BrowserSessionStatus, Reason, names::END_ANNOTATION};
use kube::ResourceExt;
use tokio::time::Instant;

use super::plan::NUMBER;

#[derive(Clone, Debug)]
pub struct SessionHistory {
    /// The number of the cycle that created it.
    pub number: Option<u64>,
    /// That cycle has found it.
    pub claimed: bool,
    /// The last version of the object.
    pub object: BrowserSession,
    /// When it was first seen.
    pub created: Instant,
    /// When it was first Ready.
    pub ready: Option<Instant>,
    /// When it ended, and its status then.
    pub ended: Option<(Instant, BrowserSessionStatus)>,
    /// When its object was deleted.
    pub gone: Option<Instant>,
    /// Every reason of its condition Ready, in order.
    pub reasons: Vec<String>,
    /// Transitions that must not happen.
    pub wrong: Vec<String>,
}

impl SessionHistory {
    #[must_use]
    pub fn new(object: BrowserSession, now: Instant) -> Self {
        let metadata = object.spec.user_metadata.as_ref();
        let number = metadata.and_then(|metadata| metadata.get(NUMBER)?.as_u64());
        let mut history = Self {
            number,
            claimed: false,
            object: BrowserSession::default(),
            created: now,
            ready: None,
            ended: None,
            gone: None,
            reasons: vec![],
            wrong: vec![],
        };
        history.update(object, now);
        history
    }

    pub fn update(&mut self, object: BrowserSession, now: Instant) {
        if let Some(condition) = object.telling_condition()
            && self.reasons.last() != Some(&condition.reason)
        {
            self.reasons.push(condition.reason.clone());
        }
        if let Some((_, last)) = &self.ended {
            if object.status.as_ref() != Some(last) {
                let text = format!("its last status changed: {last:?} became {:?}", object.status);
                self.wrong.push(text);
            }
        } else if object.is_terminal() {
            self.ended = object.status.clone().map(|status| (now, status));
        } else if object.is_ready() {
            self.ready.get_or_insert(now);
        } else if self.ready.is_some() {
            self.wrong.push(format!("it was Ready, and is not: {:?}", object.telling_condition()));
        }
        self.object = object;
    }

    /// Its object was deleted.
    pub fn go(&mut self, now: Instant) {
        self.gone.get_or_insert(now);
    }

    #[must_use]
    pub fn is_over(&self) -> bool {
        self.ended.is_some() || self.gone.is_some()
    }

    #[must_use]
    pub fn over(&self) -> Option<Instant> {
        self.ended.as_ref().map(|(at, _)| *at).or(self.gone)
    }

    /// Why it ended: its condition's reason, or `Deleted` for an object that went before it had one.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        let condition = self.object.telling_condition().filter(|_| self.ended.is_some());
        let word = condition.map(|condition| condition.reason.clone());
        word.or_else(|| self.gone.map(|_| Reason::Deleted.as_str().to_owned()))
    }

    /// The object has the annotation of a client that left.
    #[must_use]
    pub fn is_marked_abandoned(&self) -> bool {
        let word = self.object.annotations().get(END_ANNOTATION);
        word.is_some_and(|word| word == Reason::ClientGaveUp.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn object(status: Value) -> BrowserSession {
        serde_json::from_value(json!({
            "apiVersion": "browser-operator.io/v1alpha1", "kind": "BrowserSession",
            "metadata": {"name": "s", "uid": "u"},
            "spec": {"userMetadata": {"soak": 7}}, "status": status,
        }))
        .unwrap()
    }

    fn status(phase: &str, ready: bool, reason: &str) -> Value {
        json!({"phase": phase, "conditions": [{
            "type": "Ready", "status": if ready { "True" } else { "False" }, "reason": reason,
            "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z",
        }]})
    }

    #[test]
    fn a_life_that_is_as_it_should_be() {
        let now = Instant::now();
        let mut history = SessionHistory::new(object(json!({})), now);
        assert_eq!((history.number, history.is_over()), (Some(7), false));
        history.update(object(status("Ready", true, "BrowserReady")), now);
        history.update(object(status("Completed", false, "ClientEnded")), now);
        history.update(object(status("Completed", false, "ClientEnded")), now);
        history.go(now);
        assert_eq!(history.reason().as_deref(), Some("ClientEnded"));
        assert_eq!(history.reasons, ["BrowserReady", "ClientEnded"]);
        assert!(
            history.wrong.is_empty() && history.ready == Some(now) && history.over() == Some(now)
        );
    }

    #[test]
    fn what_may_never_be_is_kept() {
        let now = Instant::now();
        let mut history = SessionHistory::new(object(status("Failed", false, "AgentLost")), now);
        history.update(object(status("Completed", false, "ClientEnded")), now);
        assert_eq!(history.wrong.len(), 1);
        let mut history = SessionHistory::new(object(status("Ready", true, "BrowserReady")), now);
        history.update(object(status("Starting", false, "Starting")), now);
        assert_eq!(history.wrong.len(), 1);
    }

    #[test]
    fn what_is_deleted_says_so_by_its_absence() {
        let now = Instant::now();
        let mut history = SessionHistory::new(object(status("Ready", true, "BrowserReady")), now);
        assert_eq!(history.reason(), None);
        history.go(now);
        assert_eq!(history.reason().as_deref(), Some("Deleted"));
    }
}
