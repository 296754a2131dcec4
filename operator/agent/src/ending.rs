//! The one end of an agent: the first reason counts.

use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;
use wire::{
    bind::{EndReason, Termination},
    error::WebDriverError,
};

use crate::memory::{self, Kills};

/// Set once; seen by everything that has to end.
#[derive(Clone, Debug, Default)]
pub struct Ending {
    begun: CancellationToken,
    last_word: Arc<OnceLock<Termination>>,
    kills: Option<Kills>,
}

impl Ending {
    /// One that knows a crash from a kill for memory.
    pub fn new(kills: Option<Kills>) -> Self {
        Self { kills, ..Self::default() }
    }

    /// Ends the session, unless it is ending already.
    pub fn begin(&self, reason: &str, message: impl Into<String>) {
        let is_crash = matches!(reason, "BrowserCrashed" | "DriverCrashed");
        let last_word = if is_crash && self.kills.as_ref().is_some_and(Kills::any) {
            let reason = EndReason::OutOfMemory.as_str().to_owned();
            Termination { reason, message: memory::MESSAGE.to_owned() }
        } else {
            Termination { reason: reason.to_owned(), message: message.into() }
        };
        if self.last_word.set(last_word).is_ok() {
            self.begun.cancel();
        }
    }

    /// Cancelled when the end has begun.
    pub fn begun(&self) -> CancellationToken {
        self.begun.clone()
    }

    /// Whether the end has begun.
    pub fn has_begun(&self) -> bool {
        self.begun.is_cancelled()
    }

    /// The code of the Close frames that say it (RFC 6455, section 7.4.1): 1000 for an end that the client made, 1011 for
    /// what broke, 1001 for the rest.
    pub fn close_code(&self) -> u16 {
        match self.last_word.get().map(|word| word.reason.as_str()) {
            Some("ClientEnded" | "Disconnected") => 1000,
            Some("BrowserCrashed" | "DriverCrashed" | "OutOfMemory") => 1011,
            _ => 1001,
        }
    }

    /// What a command gets that comes too late.
    pub fn error(&self) -> WebDriverError {
        match self.last_word.get() {
            Some(word) => WebDriverError::session_over(&word.reason, &word.message),
            None => WebDriverError::invalid_session_id(),
        }
    }

    /// Waits for the end, and gives its reason.
    pub async fn wait(&self) -> Termination {
        self.begun.cancelled().await;
        let unknown = || Termination { reason: "AgentLost".to_owned(), message: String::new() };
        self.last_word.get().cloned().unwrap_or_else(unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_reason_counts() {
        let ending = Ending::default();
        assert!(!ending.has_begun());
        ending.begin("ClientEnded", "");
        ending.begin("DriverCrashed", "because of the end");
        assert!(ending.has_begun());
        assert_eq!(ending.close_code(), 1000);
        assert_eq!(ending.wait().await.reason, "ClientEnded");
    }
}
