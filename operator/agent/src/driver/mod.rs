//! The driver: its process, and the session that is prepared with it before anybody asks.

pub mod browser;
mod chrome;
mod client;
mod firefox;
mod kind;
mod mapper;
mod process;
mod sandbox;
mod shown;
mod system;

use crds::Reason;
use std::sync::{
    Arc,
    atomic::{AtomicI32, Ordering},
};

use agent_api::bind::{Driver, NewSession, Prepare};
use net::BoxError;
use serde_json::{Map, Value};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

pub use client::{Client, Error};
pub use kind::Endpoint;

use kind::Options;

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
    /// Its BiDi socket, where one was asked for.
    pub bidi: Option<Endpoint>,
    /// The browser's DevTools, where it has them.
    pub dev_tools: Option<Endpoint>,
    /// The browser's process, where the driver says which it is.
    pub browser: Option<rustix::process::Pid>,
    /// What keeps it naming another operating system, where one was asked for.
    _shown: Option<shown::Shown>,
}

impl DriverSession {
    /// The ids of the browser's targets that are the driver's own. To be asked before a client has the browser.
    ///
    /// # Errors
    /// The browser does not list its targets.
    pub async fn own_targets(&self) -> Result<Vec<String>, BoxError> {
        match (&self.dev_tools, &self.bidi) {
            (Some(browser), Some(_)) => mapper::targets(browser).await,
            _ => Ok(Vec::new()),
        }
    }
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
    /// What was prepared, and what came of it; taken by the first bind.
    ready: parking_lot::Mutex<Option<(NewSession, Result<DriverSession, Error>)>>,
}

/// The driver and what it has prepared.
#[derive(Clone, Debug)]
pub struct Prepared {
    state: watch::Receiver<State>,
    options: Options,
}

impl Prepared {
    /// Starts the driver, and prepares what was asked for. A driver that exits ends the agent.
    ///
    /// Must be done before anything reaps children: it waits for one.
    pub async fn start(config: &Config, ending: Ending, tasks: &TaskTracker) -> Self {
        let (publish, state) = watch::channel(State::Starting);
        let Prepare { driver, browser_sandbox, .. } = config.prepare;
        let problem = match driver {
            Driver::Chromedriver => None,
            Driver::Geckodriver => firefox_problem(browser_sandbox).await,
        };
        let options = Options { driver, browser: config.browser.clone(), browser_sandbox, problem };
        let (program, prepare) = (config.driver.clone(), config.prepare.clone());
        tasks.spawn({
            let options = options.clone();
            async move {
                let (arguments, says) = (options.arguments(), options.says_port_after());
                let environment = options.environment();
                let ended =
                    process::run(&program, &arguments, environment, says, &ending, |port| {
                        prepare_session(port, prepare, options, publish)
                    });
                let message = ended.await;
                ending.begin(Reason::DriverCrashed, message);
            }
        });
        Self { state, options }
    }

    /// Exactly the session that is wanted: the prepared one if it is that, else a new one.
    ///
    /// # Errors
    /// The driver's refusal.
    pub async fn session(&self, wanted: &NewSession) -> Result<(Client, DriverSession), Error> {
        let up = self.up().await?;
        let prepared = up.ready.lock().take();
        let session = match prepared {
            Some((prepared, outcome)) if prepared == *wanted => outcome?,
            other => {
                if let Some((_, Ok(unwanted))) = other {
                    up.client.delete_session(&unwanted.id).await?;
                }
                new_session(&up.client, wanted, &self.options).await?
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

/// What keeps Firefox from being confined here.
async fn firefox_problem(browser_sandbox: bool) -> Option<String> {
    if let Err(error) = firefox::prepare_home() {
        return Some(format!("the browser's home: {error}"));
    }
    if browser_sandbox { sandbox::problem().await } else { None }
}

/// A driver session, unless the browser would not be confined.
async fn new_session(
    client: &Client,
    wanted: &NewSession,
    options: &Options,
) -> Result<DriverSession, Error> {
    if let Some(problem) = &options.problem {
        return Err(Error::Refused(problem.clone()));
    }
    client.new_session(wanted, options).await
}

async fn prepare_session(
    port: u16,
    prepare: Prepare,
    options: Options,
    publish: watch::Sender<State>,
) {
    let client = Client::new(port, options.driver);
    let ready = match prepare.session {
        None => None,
        Some(wanted) => {
            let outcome = new_session(&client, &wanted, &options).await;
            Some((wanted, outcome))
        }
    };
    publish.send_replace(State::Up(Arc::new(Up { client, ready: parking_lot::Mutex::new(ready) })));
}
