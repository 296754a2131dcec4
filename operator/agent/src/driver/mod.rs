//! The driver: its process, and the session that is prepared with it before anybody asks.

pub mod chrome;
mod client;
mod process;

use std::sync::{
    Arc,
    atomic::{AtomicI32, Ordering},
};

use serde_json::{Map, Value};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use wire::{
    bind::{EndReason, Prepare},
    capabilities::CapabilitySet,
};

pub use client::{Client, Error};

use crate::{Config, ending::Ending};

/// The driver's process id, for the reaper. 0: none.
static DRIVER_PID: AtomicI32 = AtomicI32::new(0);

/// Whether that process is the driver, whose exit status is tokio's to take.
pub fn is_driver(pid: i32) -> bool {
    DRIVER_PID.load(Ordering::Acquire) == pid
}

/// A session of the driver.
#[derive(Clone, Debug)]
pub struct DriverSession {
    /// The driver's id of it, which clients never see.
    pub id: String,
    /// What the client gets to see of its capabilities.
    pub capabilities: Map<String, Value>,
    /// The path of its BiDi socket at the driver.
    pub bidi_path: Option<String>,
}

/// The driver, as far as it has come.
#[derive(Clone, Debug)]
enum State {
    Starting,
    Up(Arc<Up>),
}

/// A driver that answers.
#[derive(Debug)]
struct Up {
    client: Client,
    /// The capabilities that were prepared, and what came of it; taken by the first bind.
    ready: parking_lot::Mutex<Option<(CapabilitySet, Result<DriverSession, Error>)>>,
}

/// The driver and what it has prepared.
#[derive(Clone, Debug)]
pub struct Prepared {
    state: watch::Receiver<State>,
    options: chrome::Options,
}

impl Prepared {
    /// Starts the driver, and prepares what was asked for. A driver that exits ends the agent.
    pub fn start(config: &Config, ending: Ending, tasks: &TaskTracker) -> Self {
        let (publish, state) = watch::channel(State::Starting);
        let options = chrome::Options {
            browser: config.browser.clone(),
            browser_sandbox: config.prepare.browser_sandbox,
        };
        let (program, prepare) = (config.driver.clone(), config.prepare.clone());
        tasks.spawn({
            let options = options.clone();
            async move {
                let ended = process::run(&program, &ending, |port| {
                    prepare_session(port, prepare, options, publish)
                });
                let message = ended.await;
                ending.begin(EndReason::DriverCrashed.as_str(), message);
            }
        });
        Self { state, options }
    }

    /// A session with exactly these capabilities: the prepared one if it is that, else a new one.
    ///
    /// # Errors
    /// The driver's refusal.
    pub async fn session(
        &self,
        capabilities: &CapabilitySet,
    ) -> Result<(Client, DriverSession), Error> {
        let up = self.up().await?;
        let prepared = up.ready.lock().take();
        let session = match prepared {
            Some((prepared, outcome)) if prepared == *capabilities => outcome?,
            other => {
                if let Some((_, Ok(unwanted))) = other {
                    up.client.delete_session(&unwanted.id).await?;
                }
                up.client.new_session(capabilities, &self.options).await?
            }
        };
        Ok((up.client.clone(), session))
    }

    async fn up(&self) -> Result<Arc<Up>, Error> {
        let mut state = self.state.clone();
        let state = state
            .wait_for(|state| matches!(state, State::Up(_)))
            .await
            .map_err(|_| Error::NotRunning)?;
        match &*state {
            State::Up(up) => Ok(up.clone()),
            State::Starting => Err(Error::NotRunning),
        }
    }
}

async fn prepare_session(
    port: u16,
    prepare: Prepare,
    options: chrome::Options,
    publish: watch::Sender<State>,
) {
    let client = Client::new(port);
    let ready = match prepare.capabilities {
        None => None,
        Some(capabilities) => {
            let outcome = client.new_session(&capabilities, &options).await;
            Some((capabilities, outcome))
        }
    };
    publish.send_replace(State::Up(Arc::new(Up { client, ready: parking_lot::Mutex::new(ready) })));
}
