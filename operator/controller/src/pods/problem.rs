//! Why a pod is not as it should be.

use crds::Reason;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub reason: Reason,
    /// In the words of whoever saw it: scheduler, kubelet or agent.
    pub message: String,
}
