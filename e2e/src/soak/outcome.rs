//! What came of a cycle.

use crds::Reason;

use super::record::Record;

/// What came of a cycle.
pub struct Outcome {
    /// What happened.
    pub record: Record,
    /// Why its session ended; `None` if there was none.
    pub reason: Option<String>,
    /// Which reasons would have been right.
    pub fitting: Vec<Reason>,
    /// What was not as it must be.
    pub wrong: Vec<String>,
}
