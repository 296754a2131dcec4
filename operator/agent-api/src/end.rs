//! Why a session ends: what an agent is told, what it answers, and its last word.

use crds::Reason;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// What Kubernetes keeps of a termination message.
const MAX_TERMINATION_BYTES: usize = 4096;

/// The end of a session.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(from = "AnyEnd")]
pub struct End {
    /// Why, in one word.
    pub reason: Reason,
    /// Why, for a person.
    pub message: String,
}

impl End {
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }

    /// The JSON text, short enough for a termination message.
    #[must_use]
    pub fn to_termination_message(&self) -> String {
        let mut message = self.message.as_str();
        loop {
            let text = json!({"reason": self.reason, "message": message}).to_string();
            if text.len() <= MAX_TERMINATION_BYTES || message.is_empty() {
                return text;
            }
            let excess = text.len() - MAX_TERMINATION_BYTES;
            // A byte of the message may be up to six of JSON.
            let end = message.len() - excess.div_ceil(6).min(message.len());
            message = &message[..message.floor_char_boundary(end)];
        }
    }

    /// Reads a termination message; `None` where it is not an agent's.
    #[must_use]
    pub fn from_termination_message(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

/// The request to end a session, as an agent reads it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(from = "AnyEnd")]
pub struct EndRequest(pub End);

impl From<AnyEnd> for EndRequest {
    fn from(AnyEnd { reason, message }: AnyEnd) -> Self {
        // A word of a newer controller: an agent that knows no reason leaves it to the gateway to name.
        let reason = Reason::parse(&reason).unwrap_or(Reason::PodDeleted);
        Self(End { reason, message })
    }
}

/// Agents and controllers of another version may know other words.
#[derive(Deserialize)]
struct AnyEnd {
    reason: String,
    #[serde(default)]
    message: String,
}

impl From<AnyEnd> for End {
    fn from(AnyEnd { reason, message }: AnyEnd) -> Self {
        // Whatever runs in the container may have written it: no session ends as Ready, and no terminal obeys it.
        let message = message.replace(char::is_control, " ");
        match Reason::parse(&reason).filter(|reason| reason.is_final()) {
            Some(reason) => Self { reason, message },
            None => Self::new(Reason::AgentLost, format!("{reason}: {message}")),
        }
    }
}

/// The code of the Close frame that tells of an end (RFC 6455, section 7.4.1): 1000 where the client ended it, 1011 where
/// something broke, 1001 for the rest.
#[must_use]
pub fn close_code(reason: Reason) -> u16 {
    match reason {
        Reason::ClientEnded | Reason::Disconnected | Reason::Released => 1000,
        Reason::BrowserCrashed
        | Reason::DriverCrashed
        | Reason::OutOfMemory
        | Reason::AgentLost => 1011,
        _ => 1001,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_last_word_is_cut_to_what_kubernetes_keeps() {
        let end = End::new(Reason::DriverCrashed, "ä\"".repeat(4000));
        let text = end.to_termination_message();
        assert!(text.len() <= MAX_TERMINATION_BYTES);
        let read = End::from_termination_message(&text).unwrap();
        assert_eq!(read.reason, Reason::DriverCrashed);
        assert!(end.message.starts_with(&read.message));
        assert!(read.message.len() > 1000);
    }

    #[test]
    fn what_is_no_agents_word_is_none() {
        assert_eq!(End::from_termination_message("panicked at main.rs"), None);
    }

    #[test]
    fn a_word_of_a_newer_controller_is_the_gateways_to_name() {
        let read: EndRequest = serde_json::from_str(r#"{"reason":"Bored"}"#).unwrap();
        assert_eq!(read.0, End::new(Reason::PodDeleted, ""));
    }

    #[test]
    fn a_word_of_another_version_is_kept_in_the_message() {
        let read = End::from_termination_message(r#"{"reason":"Bored","message":"m"}"#);
        assert_eq!(read, Some(End::new(Reason::AgentLost, "Bored: m")));
    }

    #[test]
    fn a_forged_word_ends_the_session_and_moves_no_cursor() {
        let forged = r#"{"reason":"BrowserReady","message":"all\nwell\u001b[2J"}"#;
        let expected = End::new(Reason::AgentLost, "BrowserReady: all well [2J");
        assert_eq!(End::from_termination_message(forged), Some(expected));
    }
}
