//! Starts the driver, and prepares a session with it before the bind asks for one.

use std::sync::Arc;

use agent_api::bind::{Driver, NewSession, Prepare};
use parking_lot::Mutex;
use tokio::{sync::watch, time::Instant};
use tokio_util::task::TaskTracker;

use super::{
    client::{DriverClient, DriverError},
    firefox_confinement::{self, ConfinementError},
    home,
    launch_options::LaunchOptions,
    new_session::{self, NewSessionError},
    ports, process,
    session::DriverSession,
    vendor,
};
use crate::{
    config::Config,
    end::EndPolicy,
    session::start_step::{StartProgress, StartStep},
};

/// WebDriver's proxy is the agent's to have, not the driver's: the bind says where requests go.
pub const PROXY: &str = "proxy";

#[derive(Clone, Debug)]
enum DriverState {
    Starting,
    Running(Arc<RunningDriver>),
}

#[derive(Debug)]
struct RunningDriver {
    client: DriverClient,
    /// Taken by the first bind.
    prepared: Mutex<Option<PreparedSession>>,
}

#[derive(Debug)]
struct PreparedSession {
    request: NewSession,
    outcome: Result<DriverSession, NewSessionError>,
}

/// How this container makes sessions.
#[derive(Clone, Debug)]
struct Launcher {
    options: LaunchOptions,
    /// Why no browser may be started here.
    unconfined: Option<Arc<ConfinementError>>,
    progress: StartProgress,
}

impl Launcher {
    /// Makes a driver session, unless the browser would not be confined.
    async fn new_session(
        &self,
        client: &DriverClient,
        wanted: &NewSession,
    ) -> Result<DriverSession, NewSessionError> {
        match &self.unconfined {
            Some(error) => Err(error.clone().into()),
            None => {
                self.progress.enter(StartStep::browser(wanted));
                let made = new_session::new_session(client, wanted, &self.options).await;
                self.progress.enter(StartStep::Idle);
                made
            }
        }
    }
}

/// The driver, and the session that was prepared with it.
#[derive(Clone, Debug)]
pub struct DriverSupervisor {
    state: watch::Receiver<DriverState>,
    launcher: Launcher,
}

impl DriverSupervisor {
    /// Starts the driver, and prepares a session where one is asked for. A driver that exits ends the agent.
    ///
    /// Must run before anything reaps children: it waits for one.
    pub async fn start(
        config: &Config,
        proxy_port: u16,
        end_policy: EndPolicy,
        tasks: &TaskTracker,
    ) -> Self {
        let (publish, state) = watch::channel(DriverState::Starting);
        let Prepare { driver, browser_sandbox, .. } = config.prepare;
        let confinement = match (home::make(), driver) {
            (Err(error), _) => Err(ConfinementError::Home(error)),
            (Ok(()), Driver::Geckodriver) if browser_sandbox => {
                firefox_confinement::check_user_namespaces().await
            }
            (Ok(()), _) => Ok(()),
        };
        let options =
            LaunchOptions { driver, browser: config.browser.clone(), browser_sandbox, proxy_port };
        let launcher = Launcher {
            options,
            unconfined: confinement.err().map(Arc::new),
            progress: StartProgress::new(Instant::now()),
        };
        let (program, mut prepare) = (config.driver.clone(), config.prepare.clone());
        if let Some(session) = &mut prepare.session {
            session.capabilities.remove(PROXY);
        }
        tasks.spawn({
            let launcher = launcher.clone();
            async move {
                let port = match ports::choose() {
                    Ok(port) => port,
                    Err(error) => return end_policy.driver_exited(&error.to_string()),
                };
                let command = process::DriverCommand {
                    program: &program,
                    arguments: &vendor::arguments(driver, port),
                    environment: &home::ENVIRONMENT,
                    port_prefix: vendor::port_prefix(driver),
                };
                let (end, output) = (end_policy.latch(), end_policy.output());
                let running = process::run(command, end, output, |port| {
                    prepare_session(port, prepare, launcher, publish)
                });
                if let Some(exit) = running.await {
                    end_policy.driver_exited(&exit.to_string());
                }
            }
        });
        Self { state, launcher }
    }

    /// How far the start is.
    pub fn progress(&self) -> &StartProgress {
        &self.launcher.progress
    }

    /// Exactly the session that is wanted: the prepared one if it is that, else a new one.
    pub async fn take_session(
        &self,
        wanted: &NewSession,
    ) -> Result<(DriverClient, DriverSession), NewSessionError> {
        let driver = self.running().await?;
        let prepared = driver.prepared.lock().take();
        let session = match prepared {
            Some(prepared) if prepared.request == *wanted => prepared.outcome?,
            other => {
                if let Some(PreparedSession { outcome: Ok(unwanted), .. }) = other {
                    driver.client.delete_session(&unwanted.id).await?;
                }
                self.launcher.new_session(&driver.client, wanted).await?
            }
        };
        Ok((driver.client.clone(), session))
    }

    async fn running(&self) -> Result<Arc<RunningDriver>, DriverError> {
        let mut state = self.state.clone();
        let state = state
            .wait_for(|state| matches!(state, DriverState::Running(_)))
            .await
            .map_err(|_| DriverError::NotRunning)?;
        match &*state {
            DriverState::Running(driver) => Ok(driver.clone()),
            DriverState::Starting => Err(DriverError::NotRunning),
        }
    }
}

async fn prepare_session(
    port: u16,
    prepare: Prepare,
    launcher: Launcher,
    publish: watch::Sender<DriverState>,
) {
    launcher.progress.enter(StartStep::Idle);
    let client = DriverClient::new(port, launcher.options.driver);
    let prepared = match prepare.session {
        None => None,
        Some(request) => {
            let outcome = launcher.new_session(&client, &request).await;
            Some(PreparedSession { request, outcome })
        }
    };
    let driver = RunningDriver { client, prepared: Mutex::new(prepared) };
    publish.send_replace(DriverState::Running(Arc::new(driver)));
}
