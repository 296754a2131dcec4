//! From objects to pods, Services and status.
//!
//! `cache` watches and fills a work queue of sessions; for each, `session` reconciles: it asks `decide` for the next step,
//! which never awaits, and applies it, which never decides. `admission` says who is served when, `build` what is made.

mod admission;
mod build;
mod cache;
mod class;
mod events;
mod idle_namespaces;
mod limits;
mod metrics;
mod network;
mod placing;
mod pods;
mod session;
mod session_key;
mod settings;
mod shortened;
mod work_queue;
mod writer;

use std::sync::Arc;

use agent_api::installation_key::InstallationKey;
use jiff::Timestamp;
use kube::Client;
use prometheus_client::registry::Registry;
use support::{health::Ready, panics::essential};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use build::stage;
pub use metrics::Metrics;
pub use network::PolicySettings;
pub use settings::Settings;

use crate::{
    admission::Gate,
    cache::{Confirmed, Expectations, History, Tombstones, watches},
    class::{ClassController, Observations, Pace},
    idle_namespaces::IdleNamespaces,
    limits::Limits,
    network::Policies,
    session::{Context, SessionListener},
    work_queue::WorkQueue,
    writer::Writer,
};

/// Registers the controller's metrics.
pub fn metrics(registry: &mut Registry) -> Metrics {
    Metrics::register(registry)
}

/// The two ways to the API server: watches and writes do not wait for each other.
#[derive(Clone)]
pub struct Clients {
    pub watching: Client,
    /// For everything but watches.
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
    let (changed_classes, classes) = WorkQueue::new();
    let gate = Arc::new(Gate::new(metrics.clone(), changed_classes.clone()));
    let observations = Arc::new(Observations::new(changed_classes.clone()));
    let (expectations, tombstones) =
        (Arc::new(Expectations::default()), Arc::new(Tombstones::default()));
    let (maybe_idle, idle) = WorkQueue::new();
    let listener = Arc::new(SessionListener {
        gate: gate.clone(),
        expectations: expectations.clone(),
        tombstones: tombstones.clone(),
        observations: observations.clone(),
        changed_classes,
        maybe_idle: maybe_idle.clone(),
    });
    let (work, changed) = WorkQueue::new();
    let stores =
        Arc::new(watches::start(&watching, &key, &settings, &listener, &work, &stop, &tasks));
    let (events, event_writer) =
        events::channel(client.clone(), metrics.clone(), settings.identity.clone());
    let events_stop = CancellationToken::new();
    tasks.spawn(essential(event_writer.run(events_stop.clone())));
    tokio::select! {
        () = stores.wait_until_ready() => {}
        () = stop.cancelled() => {}
    }
    gate.restore(&stores);
    let history = Arc::new(History::new(&stores));
    let telling =
        history.clone().tell(client.clone(), settings.clone(), key.clone(), tombstones.clone());
    tasks.spawn(essential(stop.clone().run_until_cancelled_owned(telling)));
    let (changed_policies, policy_changes) = WorkQueue::new();
    let writer = Writer { client: client.clone(), metrics: metrics.clone() };
    let policies = Policies::start(
        &watching,
        &settings,
        stores.clone(),
        writer.clone(),
        changed_policies.clone(),
        &stop,
        &tasks,
    )
    .await;
    changed_policies.add_all(policies.namespaces());
    tasks.spawn({
        let policies = policies.clone();
        essential(work_queue::run_until(policy_changes, stop.clone(), move |namespace, _| {
            let policies = policies.clone();
            async move { policies.reconcile(&namespace).await }
        }))
    });
    let limits = Limits::new(settings.concurrent_steps, settings.concurrent_binds);
    let context = Arc::new(Context {
        writer,
        confirmed: Confirmed::new(client.clone(), settings.controller_name.clone()),
        client,
        key,
        settings,
        stores: stores.clone(),
        expectations,
        tombstones,
        history,
        observations: observations.clone(),
        gate: gate.clone(),
        policies: policies.clone(),
        limits,
        work: work.clone(),
        events,
        metrics: metrics.clone(),
        clock,
    });

    observations.restore(&stores);
    let class_controller = Arc::new(ClassController {
        stores: stores.clone(),
        observations,
        gate: gate.clone(),
        writer: context.writer.clone(),
        events: context.events.clone(),
        clock,
        pace: Pace::default(),
    });
    tasks.spawn(essential(work_queue::run_until(classes, stop.clone(), move |class, _| {
        let controller = class_controller.clone();
        async move { controller.reconcile(&class).await }
    })));

    maybe_idle.add_all(stores.namespaces_with_services());
    maybe_idle.add_all(policies.namespaces());
    let namespaces = Arc::new(IdleNamespaces {
        stores: stores.clone(),
        expectations: context.expectations.clone(),
        policies,
        writer: context.writer.clone(),
    });
    tasks.spawn(essential(work_queue::run_until(idle, stop.clone(), move |namespace, changed| {
        let namespaces = namespaces.clone();
        async move { namespaces.tidy(&namespace, changed).await }
    })));
    tasks.spawn(essential(gate.publish_positions(stores, work, clock, stop.clone())));
    ready.set(!stop.is_cancelled());
    work_queue::run(changed, stop.clone(), |key, changed| {
        session::reconcile(context.clone(), key, changed)
    })
    .await;
    // Its last user: with nobody left to publish Events, their writer ends.
    drop(context);
    ready.set(false);
    metrics.clear_queue();
    // What was written last has its Events too.
    events_stop.cancel();
    tasks.close();
    tasks.wait().await;
}
