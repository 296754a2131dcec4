//! The one end of an agent: the first reason counts.

use std::sync::{Arc, OnceLock};

use agent_api::End;
use crds::Reason;
use tokio_util::sync::CancellationToken;

/// Set once; seen by everything that has to end. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct EndLatch {
    token: CancellationToken,
    end: Arc<OnceLock<End>>,
}

impl EndLatch {
    /// Ends the session, unless it has ended already.
    pub fn set(&self, reason: Reason, message: impl Into<String>) {
        if self.end.set(End::new(reason, message)).is_ok() {
            self.token.cancel();
        }
    }

    pub fn is_set(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Cancelled when the latch is set.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// Waits until the latch is set.
    pub async fn wait(&self) -> End {
        self.token.cancelled().await;
        self.get().cloned().unwrap_or_else(|| End::new(Reason::AgentLost, ""))
    }

    pub fn get(&self) -> Option<&End> {
        self.end.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_api::end::close_code;

    #[tokio::test]
    async fn the_first_reason_counts() {
        let latch = EndLatch::default();
        assert!(!latch.is_set());
        latch.set(Reason::ClientEnded, "");
        latch.set(Reason::DriverCrashed, "because of the end");
        assert!(latch.is_set());
        assert_eq!(close_code(latch.wait().await.reason), 1000);
        assert_eq!(latch.wait().await.reason, Reason::ClientEnded);
    }
}
