//! The one end of an agent: the first reason counts.

use crds::Reason;
use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use agent_api::{End, end::close_code};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use webdriver::error::WebDriverError;

use crate::{
    memory::{self, Kills},
    session::{SOON, life::Life},
};

/// The Close frame's code for a peer that goes away (RFC 6455, section 7.4.1).
const GOING_AWAY: u16 = 1001;
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
    last_word: Arc<OnceLock<End>>,
    kills: Option<Kills>,
}

impl Ending {
    /// One that knows a crash from a kill for memory.
    pub fn new(kills: Option<Kills>) -> Self {
        Self { kills, ..Self::default() }
    }

    /// Ends the session, unless it is ending already.
    pub fn begin(&self, reason: Reason, message: impl Into<String>) {
        let is_crash = matches!(reason, Reason::BrowserCrashed | Reason::DriverCrashed);
        let last_word = if is_crash && self.has_kills() {
            End::new(Reason::OutOfMemory, memory::MESSAGE)
        } else {
            End::new(reason, message)
        };
        if self.last_word.set(last_word).is_ok() {
            self.begun.cancel();
        }
    }

    /// Whether the kernel has killed for memory.
    fn has_kills(&self) -> bool {
        self.kills.as_ref().is_some_and(Kills::any)
    }

    /// The browser hung up. It did not crash where a client closed its last window; nor where a command that is running
    /// ended it: then its answer is on the way, and says why.
    pub async fn browser_gone(&self, life: &Life, why: &str) {
        let last_window = life.lost_its_last_window();
        let patience = match (life.usage().running > 0, last_window) {
            (true, true) => SOON,
            (true, false) => SAY_SO,
            (false, _) => DRIVER_SAY_SO,
        };
        if timeout(patience, self.wait()).await.is_ok() {
            return;
        }
        // An answer may have said meanwhile that windows are left.
        self.begin_lost(life.lost_its_last_window(), why);
    }

    /// The browser is gone, and nothing else will say why.
    pub fn begin_lost(&self, last_window: bool, why: &str) {
        if last_window && !self.has_kills() {
            self.begin(Reason::ClientEnded, LAST_WINDOW);
        } else {
            self.begin(Reason::BrowserCrashed, format!("the browser is gone: {why}"));
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

    /// The code of the Close frames that say it.
    pub fn close_code(&self) -> u16 {
        self.last_word.get().map_or(GOING_AWAY, |word| close_code(word.reason))
    }

    /// What a command gets that comes too late.
    pub fn error(&self) -> WebDriverError {
        match self.last_word.get() {
            Some(word) => WebDriverError::session_over(word.reason.as_str(), &word.message),
            None => WebDriverError::invalid_session_id(),
        }
    }

    /// Waits for the end, and gives its reason.
    pub async fn wait(&self) -> End {
        self.begun.cancelled().await;
        let unknown = || End::new(Reason::AgentLost, "");
        self.last_word.get().cloned().unwrap_or_else(unknown)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test]
    async fn the_first_reason_counts() {
        let ending = Ending::default();
        assert!(!ending.has_begun());
        ending.begin(Reason::ClientEnded, "");
        ending.begin(Reason::DriverCrashed, "because of the end");
        assert!(ending.has_begun());
        assert_eq!(ending.close_code(), 1000);
        assert_eq!(ending.wait().await.reason, Reason::ClientEnded);
    }

    /// What happens to a session whose browser goes; gives the reason.
    async fn reason(happens: impl AsyncFnOnce(&Life, &Ending)) -> Reason {
        let (life, ending) = (Life::begin(Instant::now()), Ending::default());
        happens(&life, &ending).await;
        ending.wait().await.reason
    }

    #[tokio::test(start_paused = true)]
    async fn a_browser_that_goes_has_crashed_unless_its_last_window_was_closed_before() {
        let crashed = reason(async |life, ending| ending.browser_gone(life, "").await).await;
        assert_eq!(crashed, Reason::BrowserCrashed);

        let left = reason(async |life, ending| {
            drop(life.close_window());
            ending.browser_gone(life, "").await;
        });
        assert_eq!(left.await, Reason::ClientEnded);

        let left_windows = reason(async |life, ending| {
            let (_running, close) = (life.command(), life.close_window());
            let answer = async {
                tokio::time::sleep(SAY_SO).await;
                close.answered();
            };
            tokio::join!(ending.browser_gone(life, ""), answer);
        });
        assert_eq!(left_windows.await, Reason::BrowserCrashed);

        let leaves_meanwhile = reason(async |life, ending| {
            let (_running, close) = (life.command(), life.close_window());
            let leave = async {
                tokio::time::sleep(SAY_SO).await;
                drop(close);
            };
            tokio::join!(ending.browser_gone(life, ""), leave);
        });
        assert_eq!(leaves_meanwhile.await, Reason::ClientEnded);

        let afterwards = reason(async |life, ending| {
            let close = async {
                tokio::task::yield_now().await;
                drop(life.close_window());
            };
            tokio::join!(ending.browser_gone(life, ""), close);
        });
        assert_eq!(afterwards.await, Reason::BrowserCrashed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_driver_that_dies_while_it_closes_a_window_says_so() {
        let reason = reason(async |life, ending| {
            drop(life.close_window());
            let driver = async {
                tokio::task::yield_now().await;
                ending.begin(Reason::DriverCrashed, "");
            };
            tokio::join!(ending.browser_gone(life, ""), driver);
        });
        assert_eq!(reason.await, Reason::DriverCrashed);
    }
}
