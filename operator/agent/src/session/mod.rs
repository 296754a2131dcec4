//! The one session of an agent.

pub mod life;
mod limits;
pub mod setup;

use std::sync::Arc;

use wire::{bind::Settings, token};

use crate::{
    bidi::Hub,
    driver::{Client, DriverSession},
    session::life::Life,
};

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
        Self { id, driver, upstream, settings, life, hub }
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
