//! The one session of an agent.

mod closing;
pub mod life;
mod limits;
pub mod setup;

use std::sync::Arc;

use agent_api::{bind::Settings, token};
use net::BoxError;
use tokio::sync::OnceCell;

use crate::{
    bidi::Hub,
    dev_tools::screen::Screen,
    driver::{Client, DriverSession},
    session::life::Life,
};

pub use closing::{Command, SOON};
pub use limits::watch as watch_limits;

/// A browser that belongs to somebody.
pub struct Session {
    /// WebDriver's id of it, which the operator chose.
    id: String,
    /// The way to the driver.
    pub driver: Client,
    /// The driver's own session.
    pub upstream: DriverSession,
    /// What it lives by.
    pub settings: Settings,
    /// Its use so far.
    pub life: Arc<Life>,
    /// Its BiDi sockets; absent where BiDi was not asked for.
    pub hub: Option<Hub>,
    /// What those see who only look.
    pub screen: Screen,
    hidden: OnceCell<Vec<String>>,
}

impl Session {
    /// A session that has just been bound.
    pub fn new(
        id: String,
        driver: Client,
        upstream: DriverSession,
        settings: Settings,
        life: Arc<Life>,
        hub: Option<Hub>,
    ) -> Self {
        Self {
            id,
            driver,
            upstream,
            settings,
            life,
            hub,
            screen: Screen::default(),
            hidden: OnceCell::new(),
        }
    }

    /// The ids of the browser's targets that no client is shown.
    ///
    /// # Errors
    /// The browser does not list its targets.
    pub async fn hidden(&self) -> Result<&[String], BoxError> {
        self.hidden.get_or_try_init(|| self.upstream.own_targets()).await.map(Vec::as_slice)
    }

    /// WebDriver's id of it: a credential.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether `id` is this session's, in constant time: whoever knows it may drive the session.
    pub fn is(&self, id: &str) -> bool {
        token::equal(&self.id, id)
    }

    /// The path of a command at the driver; `rest` begins with its slash.
    pub fn driver_path(&self, rest: &str) -> String {
        format!("/session/{}{rest}", self.upstream.id)
    }
}
