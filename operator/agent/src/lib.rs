//! PID 1 of a browser's container: a conforming remote end, whatever the driver gets wrong.
//!
//! It starts the driver, prepares a browser, waits to be bound to a session, carries that one session's traffic, and
//! ends when the session ends. Its last word is the container's termination message.

mod announce;
mod bidi;
mod bind;
mod dev_tools;
mod driver;
mod ending;
mod memory;
mod reaper;
mod routes;
mod session;
mod shared;
mod socket;
mod upload;
mod web_driver;

use crds::Reason;
use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use agent_api::{End, bind::Prepare, token::TokenHash};
use net::{
    agent::AGENT_IDLE,
    server::{Limits, serve},
    tcp,
};
use tokio::{net::TcpListener, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{driver::Prepared, ending::Ending, shared::Shared};

/// How long replies and Close frames may take to leave, at the end.
const DRAIN: Duration = Duration::from_secs(2);

/// For gateways and the controller, and for clients of a session that is exposed.
const LIMITS: Limits = Limits { idle: AGENT_IDLE, connections: 1024 };

/// How long the controller may take to say why, after the pod was told to stop: whoever deletes or evicts it is
/// faster. A kubelet that evicts it itself waits two seconds at the most.
const REASON: Duration = Duration::from_millis(1500);

/// What an agent is told at its start.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The hash of the token that controller and gateway show.
    pub token_hash: TokenHash,
    /// What to have ready before the bind.
    pub prepare: Prepare,
    /// The driver's program.
    pub driver: PathBuf,
    /// The browser's program; the driver's own choice if absent.
    pub browser: Option<PathBuf>,
    /// Where the last word goes.
    pub termination_log: PathBuf,
    /// How long to wait for a bind.
    pub unbound_timeout: Duration,
}

/// Why an agent could not begin.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The port is taken, or not ours to take.
    #[error("listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The last word cannot be left.
    #[error("write {}", path.display())]
    TerminationLog {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Runs until the session ends, or until `stop`. Gives the reason.
///
/// # Errors
/// The agent cannot listen, or cannot leave its last word.
pub async fn run(config: Config, stop: CancellationToken) -> Result<End, Error> {
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(|source| Error::Listen { address: config.listen, source })?;
    announce::announce();
    let tasks = TaskTracker::new();
    let kills = memory::Kills::from_now();
    let ending = Ending::new(kills.clone());
    let prepared = Prepared::start(&config, ending.clone(), &tasks).await;
    let shared =
        Arc::new(Shared::new(config.token_hash.clone(), prepared, ending.clone(), tasks.clone()));

    tasks.spawn(reaper::run(ending.begun()));
    if let Some(kills) = kills {
        tasks.spawn(memory::watch(kills, ending.clone()));
    }
    tasks.spawn(bind::give_up_unbound(shared.clone(), config.unbound_timeout));
    tasks.spawn(serve(
        tcp::Listener::from(listener),
        warp::service(routes::routes(shared.clone())),
        LIMITS,
        ending.begun(),
        tasks.clone(),
    ));
    tasks.close();

    let last_word = tokio::select! {
        last_word = ending.wait() => last_word,
        () = stop.cancelled() => match timeout(REASON, ending.wait()).await {
            Ok(last_word) => last_word,
            Err(_) => {
                ending.begin(Reason::PodDeleted, "the pod was told to stop");
                ending.wait().await
            }
        },
    };
    tracing::info!(reason = %last_word.reason, message = last_word.message, "the session ends");
    // First of all, so that it is there however the rest goes.
    std::fs::write(&config.termination_log, last_word.to_termination_message())
        .map_err(|source| Error::TerminationLog { path: config.termination_log.clone(), source })?;
    if timeout(DRAIN, tasks.wait()).await.is_err() {
        tracing::debug!("some connections were cut");
    }
    Ok(last_word)
}
