//! Which end it is when the browser or the driver is gone: a crash, a client's last window, or a lack of memory.
//! Code that knows the reason sets the latch itself.

use std::time::Duration;

use crds::Reason;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite;

use super::{latch::EndLatch, oom_kills::OomKills, output::Output};
use crate::session::{activity::Activity, closing_windows::BROWSER_EXIT_TIMEOUT};

/// How long a command that is running may take to answer that it ended the browser.
const COMMAND_ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// How long the driver's exit may take to be seen: its browser dies with it, and the browser's connections break first.
pub const DRIVER_EXIT_TIMEOUT: Duration = Duration::from_millis(300);
const LAST_WINDOW: &str = "the last window was closed";

/// How the browser was seen to be gone.
#[derive(Debug, thiserror::Error)]
pub enum BrowserLoss {
    #[error("its process has ended")]
    ProcessEnded,
    #[error("its driver has lost it")]
    DriverLostIt,
    #[error("the browser closed its BiDi socket")]
    BidiClosed,
    #[error("the browser closed this socket")]
    DevToolsClosed,
    #[error(transparent)]
    Socket(#[from] tungstenite::Error),
}

/// Decides the reason of an end that nobody announced, and sets the latch.
#[derive(Clone, Debug, Default)]
pub struct EndPolicy {
    latch: EndLatch,
    /// `None` where the kernel does not count its kills.
    oom_kills: Option<OomKills>,
    output: Output,
}

impl EndPolicy {
    pub fn new(latch: EndLatch, oom_kills: Option<OomKills>, output: Output) -> Self {
        Self { latch, oom_kills, output }
    }

    pub fn latch(&self) -> &EndLatch {
        &self.latch
    }

    /// What driver and browser write.
    pub fn output(&self) -> &Output {
        &self.output
    }

    /// The driver exited before anybody ended the session.
    pub fn driver_exited(&self, message: &str) {
        self.crashed(Reason::DriverCrashed, message);
    }

    /// The driver answered that no window is left.
    pub fn last_window_closed(&self) {
        self.latch.set(Reason::ClientEnded, LAST_WINDOW);
    }

    /// The browser's connection or process has ended. Waits for a better explanation first: a driver that exited, or the
    /// answer of a command that ended the browser.
    pub async fn browser_disconnected(&self, activity: &Activity, loss: &BrowserLoss) {
        let last_window = activity.lost_last_window();
        let explanation_timeout = match (activity.usage().running > 0, last_window) {
            (true, true) => BROWSER_EXIT_TIMEOUT,
            (true, false) => COMMAND_ANSWER_TIMEOUT,
            (false, _) => DRIVER_EXIT_TIMEOUT,
        };
        if timeout(explanation_timeout, self.latch.wait()).await.is_ok() {
            return;
        }
        // An answer may have said meanwhile that windows are left.
        self.browser_lost(activity.lost_last_window(), loss);
    }

    /// The browser is gone, and nothing else will explain it.
    pub fn browser_lost(&self, last_window: bool, loss: &BrowserLoss) {
        if last_window && self.oom_kill().is_none() {
            self.last_window_closed();
        } else {
            self.crashed(Reason::BrowserCrashed, &format!("the browser is gone: {loss}"));
        }
    }

    /// A crash, unless the kernel has killed for memory.
    fn crashed(&self, reason: Reason, message: &str) {
        match self.oom_kill() {
            Some(kill) => self.latch.set(Reason::OutOfMemory, kill.message()),
            None => self.latch.set(reason, self.output.explain(message)),
        }
    }

    fn oom_kill(&self) -> Option<&OomKills> {
        self.oom_kills.as_ref().filter(|kills| kills.any())
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    /// What happens to a session whose browser goes; gives the reason.
    async fn reason(happens: impl AsyncFnOnce(&Activity, &EndPolicy)) -> Reason {
        let (activity, policy) = (Activity::new(Instant::now()), EndPolicy::default());
        happens(&activity, &policy).await;
        policy.latch().wait().await.reason
    }

    #[tokio::test(start_paused = true)]
    async fn a_browser_that_goes_has_crashed_unless_its_last_window_was_closed_before() {
        let crashed = reason(async |activity, policy| {
            policy.browser_disconnected(activity, &BrowserLoss::ProcessEnded).await
        })
        .await;
        assert_eq!(crashed, Reason::BrowserCrashed);

        let left = reason(async |activity, policy| {
            drop(activity.start_closing_window());
            policy.browser_disconnected(activity, &BrowserLoss::ProcessEnded).await;
        });
        assert_eq!(left.await, Reason::ClientEnded);

        let left_windows = reason(async |activity, policy| {
            let (_running, close) = (activity.start_command(), activity.start_closing_window());
            let answer = async {
                tokio::time::sleep(COMMAND_ANSWER_TIMEOUT).await;
                close.answered();
            };
            tokio::join!(policy.browser_disconnected(activity, &BrowserLoss::ProcessEnded), answer);
        });
        assert_eq!(left_windows.await, Reason::BrowserCrashed);

        let leaves_meanwhile = reason(async |activity, policy| {
            let (_running, close) = (activity.start_command(), activity.start_closing_window());
            let leave = async {
                tokio::time::sleep(COMMAND_ANSWER_TIMEOUT).await;
                drop(close);
            };
            tokio::join!(policy.browser_disconnected(activity, &BrowserLoss::ProcessEnded), leave);
        });
        assert_eq!(leaves_meanwhile.await, Reason::ClientEnded);

        let afterwards = reason(async |activity, policy| {
            let close = async {
                tokio::task::yield_now().await;
                drop(activity.start_closing_window());
            };
            tokio::join!(policy.browser_disconnected(activity, &BrowserLoss::ProcessEnded), close);
        });
        assert_eq!(afterwards.await, Reason::BrowserCrashed);
    }

    #[test]
    fn a_crash_after_a_kill_for_memory_is_one_for_memory() {
        let counter = std::env::temp_dir().join(format!("oom-kills-{}", std::process::id()));
        for (kills, reason) in [(0, Reason::ClientEnded), (1, Reason::OutOfMemory)] {
            std::fs::write(&counter, "oom_kill 0\n").unwrap();
            let oom_kills = OomKills::of_counter(counter.clone());
            let policy = EndPolicy::new(EndLatch::default(), oom_kills, Output::default());
            std::fs::write(&counter, format!("oom_kill {kills}\n")).unwrap();
            policy.browser_lost(true, &BrowserLoss::ProcessEnded);
            assert_eq!(policy.latch().get().unwrap().reason, reason);
        }
        std::fs::remove_file(counter).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_driver_that_dies_while_it_closes_a_window_says_so() {
        let reason = reason(async |activity, policy| {
            drop(activity.start_closing_window());
            let driver = async {
                tokio::task::yield_now().await;
                policy.driver_exited("");
            };
            tokio::join!(policy.browser_disconnected(activity, &BrowserLoss::ProcessEnded), driver);
        });
        assert_eq!(reason.await, Reason::DriverCrashed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_crash_is_told_with_the_last_lines_and_a_good_end_without() {
        let message = async |happens: fn(&EndPolicy)| {
            let policy = EndPolicy::default();
            policy.output().follow(&b"no display at ws://x/?token=1\n"[..], |_| {}).await.unwrap();
            happens(&policy);
            policy.latch().wait().await.message
        };
        let crash = message(|policy| policy.browser_lost(false, &BrowserLoss::ProcessEnded)).await;
        assert_eq!(
            crash,
            "the browser is gone: its process has ended; driver and browser wrote last: no display at ws://x/"
        );
        let crash = message(|policy| policy.driver_exited("the driver ended")).await;
        assert!(crash.ends_with("wrote last: no display at ws://x/"), "{crash}");
        let left = message(|policy| policy.browser_lost(true, &BrowserLoss::ProcessEnded)).await;
        assert_eq!(left, LAST_WINDOW);
    }
}
