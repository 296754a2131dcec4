//! From HTTP requests to objects, and traffic through. Any number of replicas, all alike: what a replica knows comes from
//! its watch.

mod auth;
mod front;
mod metrics;
mod session;
mod state;
mod traffic;
mod urls;

use std::{sync::Arc, time::Duration};

use agent_api::installation_key::InstallationKey;
use jiff::Timestamp;
use kube::Client;
use net::{
    server::{Limits, serve},
    tcp,
};
use prometheus_client::registry::Registry;
use support::health::Ready;
use tokio::{net::TcpListener, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use metrics::Metrics;
pub use urls::Configured;

use crate::{
    auth::ApiKeys,
    session::{Directory, Sessions, classes::Classes},
    state::Gateway,
};

/// How long Close frames and last replies may take to leave.
const FAREWELL: Duration = Duration::from_secs(4);
/// How long a client's connection may be silent between two commands, and how long one's headers may take; with these, those
/// that never send a whole request hold at most 256 MiB.
const LIMITS: Limits = Limits { idle: Duration::from_secs(30), connections: 8192 };

/// What the administrator decides.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The operator's own namespace, where the API keys are.
    pub namespace: String,
    /// The namespace of sessions whose client does not say who it is; `None`: it gets none.
    pub anonymous_namespace: Option<String>,
    /// The URLs that clients reach the gateway by.
    pub urls: Configured,
    /// Whether `GET /json/version` makes a session, for CDP clients that have only this gateway's URL.
    pub cdp_on_demand: bool,
    /// Web origins whose pages may ask.
    pub allowed_origins: Vec<String>,
    /// What time it is.
    pub clock: fn() -> Timestamp,
    /// How long a client waits for its session.
    pub create_timeout: Duration,
    /// How long tunnels may go on after `stop`.
    pub drain: Duration,
}

/// Registers the gateway's metrics.
pub fn metrics(registry: &mut Registry) -> Metrics {
    Metrics::register(registry)
}

/// The two ways to the API server: watches and writes do not wait for each other.
#[derive(Clone)]
pub struct Clients {
    /// For the watches.
    pub watching: Client,
    /// For everything else.
    pub writing: Client,
}

/// Runs until `stop`, then lets tunnels go on for a while.
pub async fn run(
    clients: Clients,
    key: InstallationKey,
    settings: Settings,
    metrics: Metrics,
    listener: TcpListener,
    ready: Ready,
    stop: CancellationToken,
) {
    let Clients { watching: watch_client, writing: client } = clients;
    let tasks = TaskTracker::new();
    let directory = Arc::new(Directory::new(key));
    let watching = CancellationToken::new();
    let (sessions_seen, keys_seen) = (CancellationToken::new(), CancellationToken::new());
    let watcher = tokio::spawn(session::watch(
        directory.clone(),
        watch_client.clone(),
        sessions_seen.clone(),
        watching.clone(),
    ));

    let classes = Arc::new(Classes::new(client.clone()));
    let classes_watcher =
        tokio::spawn(classes.clone().watch(watch_client.clone(), watching.clone()));
    let keys = Arc::new(ApiKeys::default());
    let keys_watcher = tokio::spawn({
        let (keys, stop, namespace) = (keys.clone(), watching.clone(), settings.namespace.clone());
        let seen = keys_seen.clone();
        async move { keys.watch(watch_client, &namespace, seen, stop).await }
    });
    // A replica that has not seen every session would say of some that there are none, and of keys likewise.
    tasks.spawn({
        let (ready, stop) = (ready.clone(), stop.clone());
        async move {
            let seen = async { tokio::join!(sessions_seen.cancelled(), keys_seen.cancelled()) };
            if stop.run_until_cancelled(seen).await.is_some() {
                ready.set(true);
            }
        }
    });
    let closing = CancellationToken::new();
    let sessions = Sessions {
        client: client.clone(),
        directory: directory.clone(),
        classes: classes.clone(),
        closing: closing.clone(),
        timeout: settings.create_timeout,
        tasks: tasks.clone(),
    };
    let drain = settings.drain;
    let gateway = Arc::new(Gateway {
        authorizer: auth::Authorizer { client, anonymous: settings.anonymous_namespace, keys },
        sessions,
        directory,
        classes,
        urls: settings.urls,
        cdp_on_demand: settings.cdp_on_demand,
        allowed_origins: settings.allowed_origins,
        clock: settings.clock,
        metrics,
        bare: front::bidi::Limits::default(),
        tasks: tasks.clone(),
        stop: stop.clone(),
        closing: closing.clone(),
    });
    serve(
        tcp::Listener::from(listener),
        warp::service(front::routes(gateway)),
        LIMITS,
        stop,
        tasks.clone(),
    )
    .await;
    ready.set(false);

    tasks.close();
    if timeout(drain, tasks.wait()).await.is_err() {
        tracing::info!(left = tasks.len(), "sockets are closed, and whoever waits is told");
        closing.cancel();
        if timeout(FAREWELL, tasks.wait()).await.is_err() {
            tracing::info!(left = tasks.len(), "connections are cut");
        }
    }
    watching.cancel();
    for watcher in [watcher, classes_watcher, keys_watcher] {
        if let Err(error) = watcher.await {
            tracing::warn!(error = &error as &dyn std::error::Error, "a watch ended badly");
        }
    }
}
