//! What came of a cycle.

use crds::Reason;

use super::journal::Journal;

/// What came of a cycle.
pub struct Outcome {
    pub journal: Journal,
    /// The end reason; `None` if there was no session.
    pub reason: Option<String>,
    /// The expected reasons.
    pub expected: Vec<Reason>,
    /// What is wrong.
    pub wrong: Vec<String>,
}
