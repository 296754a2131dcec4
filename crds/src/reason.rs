//! Why a session is as it is: one word, the same in the condition, the Event, the metric's label and the text
//! that a client gets.

use strum::VariantArray;

/// The reason of the conditions. Each word is part of the API.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    serde::Deserialize,
    serde::Serialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
pub enum Reason {
    /// No controller has looked at the session yet; what an object has from its first moment.
    Pending,
    /// The browser is up and bound to this session.
    BrowserReady,
    /// The pod is being placed and its browser started.
    Starting,
    /// The class has no room now; the session waits for its turn.
    CapacityReached,
    /// The session's namespace has its part of the class (`ceilings.sessionsPerNamespace`); it waits for one of them to end.
    NamespaceCeilingReached,
    /// A ResourceQuota refused the pod; the session waits for room.
    QuotaExceeded,
    /// The API server refuses the pod: an admission policy of the cluster; the message has its words.
    PodRefused,
    /// A Service that is not the operator's has the name that the operator's needs; the controller tries again.
    ServiceConflict,
    /// A NetworkPolicy that is not the operator's has the name that the operator's needs; the controller tries again.
    NetworkPolicyConflict,
    /// The class cannot be used as it is; the message names the field.
    ClassUnusable,
    /// The scheduler finds no node for the pod.
    Unschedulable,
    /// The pod's node does not act on it: its kubelet has not taken the pod.
    NodeUnresponsive,
    /// The kubelet cannot get the class's image, or has not in time.
    ImageUnavailable,
    /// The kubelet cannot make or start the pod's container.
    ContainerUnavailable,

    /// On a class: no browser of it was tried since the class makes its pods so.
    Untried,
    /// On a class: every version that was tried starts, and is what the class says.
    BrowsersStart,
    /// On a class: an image has another browser than the class says; its sessions run, and say what they have.
    BrowserMismatch,

    /// No BrowserClass has the name in `spec.className`, or there is no class at all.
    ClassNotFound,
    /// The class has no region of the name in `spec.region`.
    RegionNotFound,
    /// The namespace has no BrowserContext of the name in `spec.context`.
    ContextNotFound,
    /// `spec.capabilities` is not what WebDriver allows.
    CapabilitiesInvalid,
    /// No class of this cluster can give what `spec.capabilities` asks for.
    CapabilitiesNotMatched,
    /// The class does not allow it: not to sessions of this namespace, or not so much; the message names the field.
    NotAllowed,
    /// A field's value is allowed by its schema, but not here; the message names the field and what it may be.
    FieldInvalid,
    /// A Secret that `spec.proxy` names is missing, lacks its label or a key, or may not be read; the message names it.
    SecretUnusable,
    /// The browser was not ready within the class's `startTimeoutSeconds`.
    StartTimedOut,
    /// The driver refused to make the session; the message has its words.
    SessionNotCreated,
    /// The agent in the class's image speaks another version of the bind protocol.
    AgentIncompatible,

    /// The client ended the session: Delete Session, `session.end` or `browser.close`.
    ClientEnded,
    /// The BrowserSession was deleted.
    Deleted,
    /// A hosted browser API's client released the session.
    Released,
    /// The client that asked for the session went away before it was ready.
    ClientGaveUp,
    /// The session reached `spec.timeoutSeconds`.
    TimedOut,
    /// No command and no frame for `spec.idleTimeoutSeconds`.
    IdleTimeout,
    /// Nobody used the session within `spec.connectTimeoutSeconds`.
    NeverConnected,
    /// The last socket of a session that lives by its sockets was closed.
    Disconnected,
    /// The browser exited by itself.
    BrowserCrashed,
    /// The driver exited by itself.
    DriverCrashed,
    /// The container went over its memory limit.
    OutOfMemory,
    /// The kubelet evicted the pod.
    Evicted,
    /// The pod was evicted through the API, as a drain of its node does, or its node is shutting down.
    NodeDrained,
    /// The pod's node is gone, or does not answer.
    NodeLost,
    /// The pod was deleted, but not by the operator.
    PodDeleted,
    /// The pod ended without a word from its agent.
    AgentLost,
}

impl Reason {
    /// Every reason, in the order of this file.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// The word itself.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether a session can end for it.
    #[must_use]
    pub const fn is_final(self) -> bool {
        !matches!(
            self,
            Self::Pending
                | Self::BrowserReady
                | Self::Starting
                | Self::CapacityReached
                | Self::NamespaceCeilingReached
                | Self::QuotaExceeded
                | Self::PodRefused
                | Self::ServiceConflict
                | Self::NetworkPolicyConflict
                | Self::ClassUnusable
                | Self::Untried
                | Self::BrowsersStart
                | Self::BrowserMismatch
        )
    }

    /// The reason of that word, if it is one.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        word.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_found_by_its_word() {
        for reason in Reason::ALL.iter().copied() {
            assert_eq!(Reason::parse(reason.as_str()), Some(reason));
        }
        assert_eq!(Reason::parse("Because"), None);
    }

    /// The reason, who sets it, what its message says, what to look at, what mends it.
    #[test]
    fn every_reason_has_its_row_in_the_docs_and_every_row_its_reason() {
        let docs = include_str!("../../docs/reasons.md");
        let rows: Vec<Vec<&str>> = docs
            .lines()
            .filter(|line| line.starts_with("| `"))
            .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
            .collect();
        for row in &rows {
            assert!(row.len() == 5 && row.iter().all(|cell| !cell.is_empty()), "{row:?}");
        }
        let mut documented: Vec<&str> = rows.iter().map(|row| row[0].trim_matches('`')).collect();
        let mut all: Vec<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        documented.sort_unstable();
        all.sort_unstable();
        assert_eq!(documented, all);
    }
}
