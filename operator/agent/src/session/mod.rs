//! The one session of an agent.

pub mod activity;
pub mod browser_watch;
pub mod closing_windows;
pub mod limits;
pub mod navigation;
pub mod setup;
pub mod start_step;

use std::sync::Arc;

use agent_api::{bind::Settings, constant_time};
use bytes::Bytes;
use support::latest::Latest;
use tokio::sync::OnceCell;

use self::activity::Activity;
use crate::{
    bidi::Multiplexer,
    driver::{CdpError, DriverClient, DriverSession},
};

/// A browser that is bound to a session's object.
pub struct Session {
    /// WebDriver's id of it, which the operator chose: a credential.
    id: String,
    pub driver: DriverClient,
    pub driver_session: DriverSession,
    pub settings: Settings,
    pub activity: Arc<Activity>,
    /// Its BiDi sockets; `None` where BiDi was not asked for.
    pub bidi: Option<Multiplexer>,
    /// The last picture of its page; `None` in it where there was none to be had.
    pub screenshot: Latest<Option<Bytes>>,
    hidden_targets: OnceCell<Vec<String>>,
}

impl Session {
    pub fn new(
        id: String,
        driver: DriverClient,
        driver_session: DriverSession,
        settings: Settings,
        activity: Arc<Activity>,
        bidi: Option<Multiplexer>,
    ) -> Self {
        Self {
            id,
            driver,
            driver_session,
            settings,
            activity,
            bidi,
            screenshot: Latest::default(),
            hidden_targets: OnceCell::new(),
        }
    }

    /// The ids of the browser's targets that no client is shown.
    pub async fn hidden_targets(&self) -> Result<&[String], CdpError> {
        let targets = self.hidden_targets.get_or_try_init(|| self.driver_session.own_targets());
        targets.await.map(Vec::as_slice)
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether `id` is this session's, in constant time: whoever knows it may drive the session.
    pub fn has_id(&self, id: &str) -> bool {
        constant_time::equal(&self.id, id)
    }

    /// The path of a command at the driver; `rest` begins with its slash.
    pub fn driver_path(&self, rest: &str) -> String {
        format!("/session/{}{rest}", self.driver_session.id)
    }
}
