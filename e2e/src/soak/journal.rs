//! What was done in a cycle, and when.

use std::cell::RefCell;

use crds::Reason;
use tokio::time::Instant;

use super::plan::{Action, Plan};

/// A cycle's record.
pub struct Journal {
    /// What it was to do.
    pub plan: Plan,
    begun: Instant,
    entries: RefCell<Vec<(Instant, String)>>,
    evidence: RefCell<Evidence>,
}

/// What the reason is judged by.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// The session's uid.
    pub session: Option<String>,
    /// What was done to it, and when.
    pub actions: Vec<(Instant, Action)>,
    /// The pod of the gateway that it was asked for at, and since when.
    pub gateway: Option<(String, Instant)>,
    /// When its client was told that it has its session.
    pub answered: Option<Instant>,
    /// When its client had no answer, or went without.
    pub left: Option<Instant>,
    /// The reasons that clients were told.
    pub told_reasons: Vec<String>,
    /// What did not work for a client, and when.
    pub failures: Vec<(Instant, String)>,
}

impl Journal {
    /// An empty one.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        let begun = Instant::now();
        Self { plan, begun, entries: RefCell::default(), evidence: RefCell::default() }
    }

    /// Keeps what happened, for people.
    pub fn log(&self, text: impl Into<String>) {
        self.entries.borrow_mut().push((Instant::now(), text.into()));
    }

    /// Keeps what the reason is judged by.
    pub fn note(&self, note: impl FnOnce(&mut Evidence)) {
        note(&mut self.evidence.borrow_mut());
    }

    #[must_use]
    pub fn evidence(&self) -> Evidence {
        self.evidence.borrow().clone()
    }

    /// A deed begins now.
    pub fn action(&self, action: Action) {
        self.log(format!("{action}: now"));
        self.note(|evidence| evidence.actions.push((Instant::now(), action)));
    }

    /// A client did not get what it wanted.
    pub fn failed(&self, what: &str) {
        self.log(format!("a client: {what}"));
        if let Some(reason) = reason_in(what) {
            self.note(|evidence| evidence.told_reasons.push(reason.as_str().to_owned()));
        }
        self.note(|evidence| evidence.failures.push((Instant::now(), what.to_owned())));
    }

    /// A client was told a reason.
    pub fn told(&self, reason: &str) {
        self.log(format!("a client heard: {reason}"));
        self.note(|evidence| evidence.told_reasons.push(reason.to_owned()));
    }

    /// What happened so far, a line each, with the time since the cycle's begin.
    #[must_use]
    pub fn text(&self) -> String {
        let entries = self.entries.borrow();
        let line = |(at, text): &(Instant, String)| {
            format!("{:8.3} s  {text}\n", at.duration_since(self.begun).as_secs_f64())
        };
        entries.iter().map(line).collect()
    }

    /// When it began.
    #[must_use]
    pub fn begun(&self) -> Instant {
        self.begun
    }
}

/// What comes before the reason in what a client is told: by a command's error, by New Session's, by a Close frame.
const BEFORE: [&str; 3] = ["the session has ended: ", "\"message\":\"", "Utf8Bytes(b\""];

/// The reason that an error tells a client.
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
