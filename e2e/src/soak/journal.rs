//! What happened in a cycle, and when.

use std::cell::RefCell;

use crds::Reason;
use tokio::time::Instant;

use super::plan::{Action, Plan};

pub struct Journal {
    pub plan: Plan,
    begun: Instant,
    entries: RefCell<Vec<(Instant, String)>>,
    evidence: RefCell<Evidence>,
}

/// What the verdict is based on.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    pub session: Option<String>,
    pub actions: Vec<(Instant, Action)>,
    /// The uid of the gateway's pod that was asked, and when.
    pub gateway: Option<(String, Instant)>,
    /// When its client got its session.
    pub answered: Option<Instant>,
    /// When its client left without a session.
    pub left: Option<Instant>,
    /// The end reasons that clients were told.
    pub told_reasons: Vec<String>,
    /// Failures that a client met.
    pub failures: Vec<(Instant, String)>,
}

impl Journal {
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        let begun = Instant::now();
        Self { plan, begun, entries: RefCell::default(), evidence: RefCell::default() }
    }

    /// Adds an entry, for people.
    pub fn log(&self, text: impl Into<String>) {
        self.entries.borrow_mut().push((Instant::now(), text.into()));
    }

    /// Adds to the evidence.
    pub fn note(&self, note: impl FnOnce(&mut Evidence)) {
        note(&mut self.evidence.borrow_mut());
    }

    #[must_use]
    pub fn evidence(&self) -> Evidence {
        self.evidence.borrow().clone()
    }

    /// An action begins now.
    pub fn action(&self, action: Action) {
        self.log(format!("{action}: now"));
        self.note(|evidence| evidence.actions.push((Instant::now(), action)));
    }

    /// A client's request failed.
    pub fn failed(&self, what: &str) {
        self.log(format!("a client: {what}"));
        if let Some(reason) = reason_in(what) {
            self.note(|evidence| evidence.told_reasons.push(reason.as_str().to_owned()));
        }
        self.note(|evidence| evidence.failures.push((Instant::now(), what.to_owned())));
    }

    /// A client was told an end reason.
    pub fn told(&self, reason: &str) {
        self.log(format!("a client heard: {reason}"));
        self.note(|evidence| evidence.told_reasons.push(reason.to_owned()));
    }

    /// The entries, a line each, with the time since the cycle began.
    #[must_use]
    pub fn text(&self) -> String {
        let entries = self.entries.borrow();
        let line = |(at, text): &(Instant, String)| {
            format!("{:8.3} s  {text}\n", at.duration_since(self.begun).as_secs_f64())
        };
        entries.iter().map(line).collect()
    }

    #[must_use]
    pub fn begun(&self) -> Instant {
        self.begun
    }
}

/// What precedes the reason in a command's error, in New Session's, and in a Close frame.
const BEFORE: [&str; 3] = ["the session has ended: ", "\"message\":\"", "Utf8Bytes(b\""];

/// The end reason in an error's text.
fn reason_in(text: &str) -> Option<Reason> {
    let after = |before: &&str| {
        let (_, rest) = text.split_once(*before)?;
        Reason::parse(rest.split(|letter: char| !letter.is_alphabetic()).next()?)
    };
    BEFORE.iter().find_map(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_tells_its_reason() {
        for (text, expected) in [
            (
                r#"404 {"value":{"message":"the session has ended: TimedOut: too long"}}"#,
                Some(Reason::TimedOut),
            ),
            (
                r#"500 {"value":{"message":"PodDeleted: the browser's pod was deleted"}}"#,
                Some(Reason::PodDeleted),
            ),
            (
                r#"closed: Some(CloseFrame { code: Error, reason: Utf8Bytes(b"BrowserCrashed") })"#,
                Some(Reason::BrowserCrashed),
            ),
            (r#"404 {"value":{"message":"no such session"}}"#, None),
            ("Starting a connection", None),
        ] {
            assert_eq!(reason_in(text), expected, "{text}");
        }
    }
}
