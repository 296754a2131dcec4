//! What the fronts share: who may do what, the sessions, the settings.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::time::timeout;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use webdriver::error::WebDriverError;

use crate::{
    auth::Authorizer,
    front::bidi,
    metrics::Metrics,
    session::{
        Directory, LiveSession, Sessions,
        classes::{self, Classes},
    },
    traffic::TunnelShutdown,
    urls::Configured,
};

/// How long the directory may take to say that a pod is gone: the kubelet looks every second, and a busy node takes several.
const SAY_SO: Duration = Duration::from_secs(10);

/// What the fronts need.
pub struct Gateway {
    /// Who may have what.
    pub authorizer: Authorizer,
    /// Makes sessions.
    pub sessions: Sessions,
    /// Finds sessions.
    pub directory: Arc<Directory>,
    /// What browsers there are.
    pub classes: Arc<Classes>,
    /// The URLs that clients reach this by.
    pub urls: Configured,
    /// Whether `/json/version` makes sessions.
    pub cdp_on_demand: bool,
    /// Web origins whose pages may ask; no other page may.
    pub allowed_origins: Vec<String>,
    /// What time it is.
    pub clock: fn() -> Timestamp,
    /// What is counted.
    pub metrics: Metrics,
    /// What sockets without a session may take.
    pub bare: bidi::Limits,
    /// Owns every tunnel.
    pub tasks: TaskTracker,
    /// Cancelled when this replica takes no new sessions.
    pub stop: CancellationToken,
    /// Cancelled when it lets go of those that it carries.
    pub closing: CancellationToken,
}

impl Gateway {
    /// What ends a tunnel of this session.
    pub fn cuts(&self, entry: &Arc<LiveSession>) -> TunnelShutdown {
        TunnelShutdown { entry: entry.clone(), closing: self.closing.clone() }
    }

    /// Whether this replica makes sessions now, and in words: both protocols' status.
    pub fn status(&self) -> (bool, &'static str) {
        let live = self.directory.live();
        if self.stop.is_cancelled() {
            (false, "this replica is shutting down")
        } else if self.classes.all().iter().any(|class| classes::has_room(class, &live)) {
            (true, "sessions can be created")
        } else {
            (false, "every BrowserClass is at its capacity; a session waits for its turn")
        }
    }

    /// A pod that does not answer is most often gone, and the directory will say so, and why. `None`: it does not.
    pub async fn why_over(&self, entry: &LiveSession) -> Option<WebDriverError> {
        let over = timeout(SAY_SO, entry.over.cancelled());
        let over = self.closing.run_until_cancelled(over).await;
        over.is_some_and(|over| over.is_ok()).then(|| self.directory.why(&entry.session_id))
    }

    /// Whether it may make one at all.
    ///
    /// # Errors
    /// It is shutting down.
    pub fn accepts(&self) -> Result<(), WebDriverError> {
        if self.stop.is_cancelled() {
            return Err(WebDriverError::session_not_created("this replica is shutting down"));
        }
        Ok(())
    }
}
