//! The gateway: clients' APIs become BrowserSessions, and their traffic goes to the sessions' pods. All replicas are alike: what
//! one knows comes from its watches.

mod auth;
mod front;
mod metrics;
mod services;
mod session;
mod shown;
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
use support::{health::Ready, panics::essential, watch::Scope};
use tokio::{net::TcpListener, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use metrics::Metrics;
pub use services::{ServiceSettings, UnknownProjects};
pub use urls::UrlSettings;

use crate::{
    auth::{ApiKeys, Authorizer, Reviews},
    session::{Classes, ControllerLease, Directory, SessionCreator},
    state::Gateway,
    traffic::{BareSocketLimits, LargeAnswers},
};

/// How long Close frames and last answers may take to be sent.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(4);
/// How long the headers of a request may take.
const HEADERS_TIMEOUT: Duration = Duration::from_secs(10);
/// Clients that never send a whole request hold at most some 160 MiB.
const CONNECTIONS: usize = 4096;
/// How many answers of some megabytes, and how many pictures, this replica holds at a time.
const LARGE_ANSWERS: usize = 4;
const PICTURES: usize = 64;
/// How long an idle connection may still bring a request after `stop`.
const LINGER: Duration = Duration::from_secs(2);

#[derive(Clone, Debug)]
pub struct Settings {
    /// The operator's own namespace, where the API keys are.
    pub namespace: String,
    /// The `controllerName` of the classes that it knows.
    pub controller_name: String,
    /// The namespaces that it serves.
    pub scope: Scope,
    /// The Lease of the controllers, in the same namespace.
    pub controller_lease: String,
    /// The namespace of sessions whose client sends no credentials; `None`: such a client gets none.
    pub anonymous_namespace: Option<String>,
    pub urls: UrlSettings,
    pub services: ServiceSettings,
    /// Whether `GET /json/version` creates a session, for CDP clients that know only this gateway's URL.
    pub cdp_on_demand: bool,
    /// The web origins whose pages may send requests.
    pub allowed_origins: Vec<String>,
    pub clock: fn() -> Timestamp,
    /// How long a client waits for its session.
    pub create_timeout: Duration,
    /// How long a client's connection may wait for its next request.
    pub keep_alive: Duration,
    /// How long tunnels stay open after `stop`.
    pub drain: Duration,
}

/// Registers the gateway's metrics.
pub fn metrics(registry: &mut Registry) -> Metrics {
    Metrics::register(registry)
}

/// Two clients of the API server, so that watches and writes do not wait for each other.
#[derive(Clone)]
pub struct Clients {
    pub watching: Client,
    /// For everything but watches.
    pub writing: Client,
}

/// Serves until `stop`, and then keeps tunnels open for [`Settings::drain`].
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
    let stop_watches = CancellationToken::new();
    let (sessions_synced, keys_synced) = (CancellationToken::new(), CancellationToken::new());
    let directory = Arc::new(Directory::new(key));
    let sessions_watch = tokio::spawn({
        let (directory, client, stop) =
            (directory.clone(), watch_client.clone(), stop_watches.clone());
        let synced = sessions_synced.clone();
        let scope = settings.scope.clone();
        essential(async move { directory.watch(client, &scope, synced, stop).await })
    });
    let classes = Arc::new(Classes::new(client.clone(), settings.controller_name));
    let classes_watch =
        tokio::spawn(essential(classes.clone().watch(watch_client.clone(), stop_watches.clone())));
    let controller = Arc::new(ControllerLease::new(
        client.clone(),
        settings.namespace.clone(),
        settings.controller_lease,
        settings.clock,
    ));
    let controller_watch = tokio::spawn({
        let (controller, client) = (controller.clone(), watch_client.clone());
        let stop = stop_watches.clone();
        essential(async move { controller.watch(client, stop).await })
    });
    let keys = Arc::new(ApiKeys::default());
    let keys_watch = tokio::spawn({
        let (keys, stop, namespace) =
            (keys.clone(), stop_watches.clone(), settings.namespace.clone());
        let synced = keys_synced.clone();
        essential(async move { keys.watch(watch_client, &namespace, synced, stop).await })
    });
    // Before its first list a replica would refuse sessions and keys that exist.
    tasks.spawn({
        let (ready, stop) = (ready.clone(), stop.clone());
        async move {
            let synced =
                async { tokio::join!(sessions_synced.cancelled(), keys_synced.cancelled()) };
            if stop.run_until_cancelled(synced).await.is_some() {
                ready.set(true);
            }
        }
    });
    let closing = CancellationToken::new();
    let sessions = SessionCreator {
        client: client.clone(),
        operator_namespace: settings.namespace.clone(),
        directory: directory.clone(),
        classes: classes.clone(),
        controller,
        closing: closing.clone(),
        timeout: settings.create_timeout,
        tasks: tasks.clone(),
    };
    let drain = settings.drain;
    let limits = Limits {
        headers: HEADERS_TIMEOUT,
        idle: settings.keep_alive,
        connections: CONNECTIONS,
        linger: LINGER,
    };
    let gateway = Arc::new(Gateway {
        authorizer: Authorizer {
            reviews: Reviews::new(client),
            scope: settings.scope,
            anonymous_namespace: settings.anonymous_namespace,
            keys,
        },
        sessions,
        directory,
        classes,
        urls: settings.urls,
        services: settings.services,
        cdp_on_demand: settings.cdp_on_demand,
        allowed_origins: settings.allowed_origins,
        clock: settings.clock,
        metrics,
        bare_sockets: BareSocketLimits::default(),
        large_answers: LargeAnswers::new(LARGE_ANSWERS),
        pictures: LargeAnswers::new(PICTURES),
        tasks: tasks.clone(),
        stop: stop.clone(),
        closing: closing.clone(),
    });
    serve(
        tcp::Listener::from(listener),
        warp::service(front::routes(gateway)),
        limits,
        stop,
        tasks.clone(),
    )
    .await;
    ready.set(false);

    tasks.close();
    if timeout(drain, tasks.wait()).await.is_err() {
        tracing::info!(left = tasks.len(), "sockets are closed, and whoever waits is told");
        closing.cancel();
        if timeout(CLOSE_TIMEOUT, tasks.wait()).await.is_err() {
            tracing::info!(left = tasks.len(), "connections are cut");
        }
    }
    stop_watches.cancel();
    for watch in [sessions_watch, classes_watch, controller_watch, keys_watch] {
        if let Err(error) = watch.await {
            tracing::warn!(error = &error as &dyn std::error::Error, "a watch ended badly");
        }
    }
}
