//! What came of a cycle.

use crds::Reason;

use super::journal::Journal;

/// What came of a cycle.
pub struct Outcome {
    /// What happened.
    pub journal: Journal,
    /// Why its session ended; `None` if there was none.
    pub reason: Option<String>,
    /// Which reasons would have been right.
    pub expected: Vec<Reason>,
    /// What was not as it must be.
    pub wrong: Vec<String>,
}
