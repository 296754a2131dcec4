//! PID 1 of a browser's container: a conforming remote end, whatever the driver gets wrong.
//!
//! It starts the driver, prepares a browser, waits to be bound to a session, carries that one session's traffic, and
//! ends when the session ends. The reason of the end becomes the container's termination message.

mod arp_announcement;
mod bidi;
mod bind;
mod config;
mod dev_tools;
mod driver;
mod egress;
mod end;
mod operator_api;
mod orphan_reaper;
mod remote_end;
mod routes;
mod session;
mod state;
mod websocket;

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use agent_api::End;
use crds::Reason;
use net::{
    agent::AGENT_IDLE,
    server::{Limits, serve},
    tcp,
};
use support::panics::essential;
use tokio::time::timeout;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use config::Config;

use crate::{
    driver::DriverSupervisor,
    egress::EgressProxy,
    end::{
        EndLatch, EndPolicy, Output,
        oom_kills::{self, OomKills},
    },
    state::AgentState,
};

/// How long replies and Close frames may take to leave, at the end.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// The connections are those of gateways, the controller, and clients of a session that is exposed.
const LIMITS: Limits = Limits {
    headers: Duration::from_secs(10),
    idle: AGENT_IDLE,
    connections: 1024,
    linger: Duration::ZERO,
};

/// How long to wait, after the pod was told to stop, for the controller to send the reason: it learns of a deletion or an
/// eviction later. A kubelet that evicts the pod itself waits two seconds at the most.
const REASON_TIMEOUT: Duration = Duration::from_millis(1500);

/// Why an agent could not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("listen on {address}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("listen for the browser's requests")]
    Proxy(#[source] io::Error),
    #[error("write {}", path.display())]
    TerminationLog { path: PathBuf, source: io::Error },
}

/// Runs until the session ends, or until `stop`. Returns the reason.
pub async fn run(config: Config, stop: CancellationToken) -> Result<End, Error> {
    let listener = tcp::bind(config.listen)
        .await
        .map_err(|source| Error::Listen { address: config.listen, source })?;
    arp_announcement::send();
    let tasks = TaskTracker::new();
    let latch = EndLatch::default();
    let oom_kills = OomKills::from_now();
    let end_policy = EndPolicy::new(latch.clone(), oom_kills.clone(), Output::default());
    let egress = EgressProxy::start(latch.token(), &tasks).await.map_err(Error::Proxy)?;
    let driver = DriverSupervisor::start(&config, egress.port(), end_policy.clone(), &tasks).await;
    let state =
        AgentState::new(config.token_hash.clone(), driver, egress, end_policy, tasks.clone());
    let state = Arc::new(state);

    tasks.spawn(essential(orphan_reaper::run(latch.token())));
    if let Some(oom_kills) = oom_kills {
        tasks.spawn(essential(oom_kills::watch(oom_kills, latch.clone())));
    }
    tasks.spawn(essential(bind::end_unbound(state.clone(), config.unbound_timeout)));
    tasks.spawn(essential(serve(
        tcp::Listener::from(listener),
        warp::service(routes::routes(state)),
        LIMITS,
        latch.token(),
        tasks.clone(),
    )));
    tasks.close();

    let end = tokio::select! {
        end = latch.wait() => end,
        () = stop.cancelled() => match timeout(REASON_TIMEOUT, latch.wait()).await {
            Ok(end) => end,
            Err(_) => {
                latch.set(Reason::PodDeleted, "the pod was told to stop");
                latch.wait().await
            }
        },
    };
    tracing::info!(reason = %end.reason, message = end.message, "the session ends");
    // Before the connections are drained, so that it is there however that goes.
    std::fs::write(&config.termination_log, end.to_termination_message())
        .map_err(|source| Error::TerminationLog { path: config.termination_log.clone(), source })?;
    if timeout(DRAIN_TIMEOUT, tasks.wait()).await.is_err() {
        tracing::debug!("some connections were cut");
    }
    Ok(end)
}
