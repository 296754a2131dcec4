//! What every front needs.

use std::{borrow::Cow, net::IpAddr, sync::Arc, time::Duration};

use http::HeaderMap;
use jiff::Timestamp;
use tokio::time::timeout;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use webdriver::error::WebDriverError;

use crate::{
    auth::{self, Authorizer, Credential},
    metrics::Metrics,
    services::ServiceSettings,
    session::{Classes, Directory, LiveSession, SessionCreator, classes::has_room},
    traffic::{BareSocketLimits, LargeAnswers, TunnelEnd},
    urls::UrlSettings,
};

/// How long the directory may take to learn that a pod is gone: the kubelet looks every second, and a busy node takes several.
const END_TIMEOUT: Duration = Duration::from_secs(10);

pub struct Gateway {
    pub authorizer: Authorizer,
    pub sessions: SessionCreator,
    pub directory: Arc<Directory>,
    pub classes: Arc<Classes>,
    pub urls: UrlSettings,
    pub services: ServiceSettings,
    /// Whether `GET /json/version` creates a session.
    pub cdp_on_demand: bool,
    /// The web origins whose pages may send requests; no other page may.
    pub allowed_origins: Vec<String>,
    pub clock: fn() -> Timestamp,
    pub metrics: Metrics,
    pub bare_sockets: BareSocketLimits,
    /// Lists, and what browsers say of their DevTools.
    pub large_answers: LargeAnswers,
    /// Pictures for those who view shares.
    pub pictures: LargeAnswers,
    /// Owns every tunnel.
    pub tasks: TaskTracker,
    /// Cancelled when this replica takes no new sessions.
    pub stop: CancellationToken,
    /// Cancelled when this replica closes its tunnels.
    pub closing: CancellationToken,
}

impl Gateway {
    /// What a request says about who sends it. `peer` is the address at the other end of its connection.
    pub fn credential(&self, headers: &HeaderMap, peer: IpAddr) -> Credential {
        Credential::of(headers, self.origin(headers, peer))
    }

    /// Where a request comes from, as far as those count who share something.
    pub fn origin(&self, headers: &HeaderMap, peer: IpAddr) -> IpAddr {
        auth::origin_of(headers, peer, |address| self.urls.trusts(address))
    }

    pub fn tunnel_end(&self, session: &Arc<LiveSession>) -> TunnelEnd {
        TunnelEnd { session: session.clone(), closing: self.closing.clone(), sends_close: true }
    }

    /// Whether this replica creates sessions now, and a message: the status of WebDriver, Classic and BiDi.
    pub fn status(&self) -> (bool, Cow<'static, str>) {
        let sessions = self.directory.sessions_per_class();
        if self.stop.is_cancelled() {
            (false, "this replica is shutting down".into())
        } else if !self.sessions.controller.is_held() {
            (false, self.sessions.controller.not_held().into())
        } else if self.classes.all().iter().any(|class| has_room(class, &sessions)) {
            (true, "sessions can be created".into())
        } else {
            (false, "every BrowserClass is at its capacity; a session waits for its turn".into())
        }
    }

    /// The end of a session whose pod does not answer: most often the pod is gone, and the directory soon learns why. `None`: the
    /// session has not ended.
    pub async fn end_of_unreachable(&self, session: &LiveSession) -> Option<WebDriverError> {
        let ended = timeout(END_TIMEOUT, session.ended.cancelled());
        let ended = self.closing.run_until_cancelled(ended).await;
        ended
            .is_some_and(|ended| ended.is_ok())
            .then(|| self.directory.end_error(&session.session_id))
    }

    /// # Errors
    /// This replica is shutting down, and creates no session.
    pub fn check_accepting(&self) -> Result<(), WebDriverError> {
        if self.stop.is_cancelled() {
            return Err(WebDriverError::session_not_created("this replica is shutting down"));
        }
        Ok(())
    }
}
