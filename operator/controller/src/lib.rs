//! From objects to pods, services and status: `fetch -> validate -> build -> apply -> observe`.
//!
//! `watches` feed stores and a queue of keys; for each key `reconcile` asks `decide` what to do next, which
//! never awaits, and does it, which never decides.

mod apply;
mod bind;
pub mod build;
mod confirm;
mod decide;
mod events;
mod key;
mod line;
mod metrics;
mod observe;
mod queue;
mod reconcile;
mod shared;
mod watches;

use std::sync::Arc;

use agent_api::token::InstallationKey;
use jiff::Timestamp;
use kube::Client;
use prometheus_client::registry::Registry;
use support::health::Ready;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use build::Settings;
pub use metrics::Metrics;

use crate::{apply::Writer, reconcile::Context, shared::Shared};

/// Registers the controller's metrics.
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

/// Runs until `stop`, then lets what is being done finish.
pub async fn run(
    clients: Clients,
    key: InstallationKey,
    settings: Settings,
    metrics: Metrics,
    clock: fn() -> Timestamp,
    ready: Ready,
    stop: CancellationToken,
) {
    let tasks = TaskTracker::new();
    let Clients { watching, writing: client } = clients;
    let shared = Arc::new(Shared::new(metrics.clone()));
    let (stores, keys, changed) = watches::start(&watching, &shared, &stop, &tasks);
    let stores = Arc::new(stores);
    let (events, writer) = events::channel(client.clone(), metrics.clone(), clock);
    let events_stop = CancellationToken::new();
    tasks.spawn(writer.run(events_stop.clone()));
    let line_metrics = metrics.clone();
    let context = Arc::new(Context {
        writer: Writer { client: client.clone(), metrics: metrics.clone() },
        client,
        key,
        settings,
        stores: stores.clone(),
        events,
        metrics,
        clock,
        keys: keys.clone(),
        shared: shared.clone(),
    });

    tokio::select! {
        () = context.stores.wait_until_ready() => {}
        () = stop.cancelled() => {}
    }
    shared.line_up(&stores);
    tasks.spawn(shared.tell_positions(stores, keys, clock, stop.clone()));
    ready.set(!stop.is_cancelled());
    queue::run(changed, stop.clone(), |key, changed| {
        reconcile::reconcile(context.clone(), key, changed)
    })
    .await;
    ready.set(false);
    line_metrics.forget_line();
    // What was written last has its Events too.
    events_stop.cancel();
    tasks.close();
    tasks.wait().await;
}
