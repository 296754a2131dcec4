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
mod metrics;
mod observe;
mod queue;
mod reconcile;
mod turn;
mod watches;

use std::sync::Arc;

use jiff::Timestamp;
use kube::Client;
use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use runtime::admin::Ready;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use wire::token::InstallationKey;

pub use build::Settings;
pub use metrics::Metrics;

use crate::reconcile::Context;

/// Registers the controller's metrics.
pub fn metrics(registry: &mut Registry) -> Metrics {
    Metrics::register(registry)
}

/// Runs until `stop`, then lets what is being done finish.
pub async fn run(
    client: Client,
    key: InstallationKey,
    settings: Settings,
    metrics: Metrics,
    clock: fn() -> Timestamp,
    ready: Ready,
    stop: CancellationToken,
) {
    let tasks = TaskTracker::new();
    let (stores, keys) = watches::start(&client, &stop, &tasks);
    let (events, writer) = events::channel(client.clone());
    tasks.spawn(writer.run(stop.clone()));
    let context = Arc::new(Context {
        client,
        key,
        settings,
        stores,
        events,
        metrics,
        clock,
        named: Mutex::default(),
        admitted: Mutex::default(),
    });

    tokio::select! {
        () = context.stores.wait_until_ready() => {}
        () = stop.cancelled() => {}
    }
    ready.set(!stop.is_cancelled());
    queue::run(keys, stop.clone(), |key, changed| {
        reconcile::reconcile(context.clone(), key, changed)
    })
    .await;
    ready.set(false);
    tasks.close();
    tasks.wait().await;
}
