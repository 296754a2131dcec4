//! The one end of an agent: the first reason counts.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use wire::{
    bind::{EndReason, Termination, close_code},
    error::WebDriverError,
};

use crate::{
    memory::{self, Kills},
    session::life::Life,
};

/// How long a command that is running may take to say that it ended the browser.
const SAY_SO: Duration = Duration::from_secs(1);
/// How long the driver's own end may take to be seen: with it goes its browser, whose connections are the first to break.
const DRIVER_SAY_SO: Duration = Duration::from_millis(300);
/// What a session ends with whose client closed every window.
pub const LAST_WINDOW: &str = "the last window was closed";

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

    /// The browser hung up. It did not crash where the client closed its last window; nor where a command that is running
    /// ended it, as closing the last window does: then its answer is on the way, and says why.
    pub async fn browser_gone(&self, life: &Life, last_window: bool, why: &str) {
        if last_window {
            self.begin(EndReason::ClientEnded.as_str(), LAST_WINDOW);
        }
        let patience = if life.usage().running > 0 { SAY_SO } else { DRIVER_SAY_SO };
        if timeout(patience, self.wait()).await.is_ok() {
            return;
        }
        self.begin(EndReason::BrowserCrashed.as_str(), format!("the browser is gone: {why}"));
    }

    /// Cancelled when the end has begun.
    pub fn begun(&self) -> CancellationToken {
        self.begun.clone()
    }

    /// Whether the end has begun.
    pub fn has_begun(&self) -> bool {
        self.begun.is_cancelled()
    }

    /// The code of the Close frames that say it.
    pub fn close_code(&self) -> u16 {
        close_code(self.last_word.get().map_or("", |word| word.reason.as_str()))
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
