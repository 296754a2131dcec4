//! Why a session is not Ready, or not any more.

use agent_api::end::close_code;
use crds::{BrowserSession, Reason};

/// The reason and message of a session's conditions, or what stands for it where there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotReady {
    pub reason: NotReadyReason,
    pub message: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotReadyReason {
    Known(Reason),
    /// A word of a controller that is newer than this gateway; clients get it as it stands.
    Foreign(String),
    /// The session ended without a condition.
    Missing,
    /// This replica stops, and will not learn what becomes of the session.
    ReplicaStopping,
}

impl NotReadyReason {
    /// The word that clients get.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(reason) => reason.as_str(),
            Self::Foreign(word) => word,
            Self::Missing | Self::ReplicaStopping => "Unknown",
        }
    }

    /// The code of the Close frame that tells of it; `None` where only the session's controller knows what it means.
    pub fn close_code(&self) -> Option<u16> {
        match self {
            Self::Known(reason) => Some(close_code(*reason)),
            Self::Foreign(_) | Self::Missing | Self::ReplicaStopping => None,
        }
    }
}

impl From<&str> for NotReadyReason {
    fn from(word: &str) -> Self {
        Reason::parse(word).map_or_else(|| Self::Foreign(word.to_owned()), Self::Known)
    }
}

impl NotReady {
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason: NotReadyReason::Known(reason), message: message.into() }
    }

    /// What the object's conditions say; `None` where it has none.
    pub fn from_condition(session: &BrowserSession) -> Option<Self> {
        let condition = session.telling_condition()?;
        let reason = NotReadyReason::from(condition.reason.as_str());
        Some(Self { reason, message: condition.message.clone() })
    }

    /// The session ended without a condition.
    pub fn missing() -> Self {
        Self { reason: NotReadyReason::Missing, message: String::new() }
    }

    pub fn replica_stopping() -> Self {
        Self { reason: NotReadyReason::ReplicaStopping, message: "this replica stops".to_owned() }
    }

    /// Whether all that is missing is room: a class's capacity or a namespace's quota.
    pub fn is_out_of_capacity(&self) -> bool {
        let NotReadyReason::Known(reason) = self.reason else { return false };
        matches!(
            reason,
            Reason::CapacityReached | Reason::NamespaceCeilingReached | Reason::QuotaExceeded
        )
    }
}

impl std::fmt::Display for NotReady {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.reason.as_str(), self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_controllers_word_is_passed_on_as_it_stands() {
        let reason = NotReadyReason::from("Hibernated");
        assert_eq!((reason.as_str(), reason.close_code()), ("Hibernated", None));
        let known = NotReadyReason::from("IdleTimeout");
        assert_eq!(known, NotReadyReason::Known(Reason::IdleTimeout));
        assert_eq!((known.as_str(), known.close_code()), ("IdleTimeout", Some(1001)));
    }
}
