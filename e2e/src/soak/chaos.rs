//! The operator is killed, and comes back.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::future::join_all;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt, api::DeleteParams};
use tokio::time::{Instant, sleep};

use super::{
    kill::{self, Kill, Method, Victim},
    observer::Seen,
    outage::{Component, Outage},
    process,
    random::Random,
    tally::Tally,
    testbed::Testbed,
};
use crate::operator::is_ready;

/// For the replacement to become ready.
const REPLACEMENT_TIMEOUT: Duration = Duration::from_secs(120);
/// For a ready controller to have listed everything.
const LIST_TIME: Duration = Duration::from_secs(2);
/// As `SETTLED`, where it has to wait for the Lease of the one before.
const LEASE_TIME: Duration = Duration::from_secs(17);
/// Between two kills, in milliseconds.
const PAUSE_MILLIS: (u64, u64) = (8_000, 25_000);

/// Kills pods of the operator, one round after another, until `is_over`.
pub async fn run(
    testbed: &Testbed<'_>,
    tally: &Tally,
    random: &mut Random,
    is_over: impl Fn() -> bool,
) -> Result<()> {
    loop {
        let pause = random.between(PAUSE_MILLIS.0, PAUSE_MILLIS.1);
        let begun = Instant::now();
        // In pieces, so that the end need not wait for it.
        while begun.elapsed() < pause && !is_over() {
            sleep(Duration::from_millis(200)).await;
        }
        if is_over() {
            return Ok(());
        }
        let kills = testbed.observer.read(|seen| {
            let victims = |component| victims(seen, component);
            kill::draw(random, victims(Component::Controller), victims(Component::Gateway))
        });
        let killing = kills.iter().map(|kill| run_one(testbed, tally, kill));
        for outcome in join_all(killing).await {
            outcome?;
        }
    }
}

/// The pods of a component that can be killed.
fn victims(seen: &Seen, component: Component) -> Vec<Victim> {
    let ready = seen.component(component.as_str()).filter(|pod| is_ready(pod));
    let victims = ready.filter_map(|pod| {
        let uid = pod.uid()?;
        let by_signal = restarts(pod) == 0 && crate::local::is_here(&uid);
        Some(Victim { pod: uid, by_signal })
    });
    victims.collect()
}

/// Kills pods of the operator, and waits until their replacements work.
async fn run_one(testbed: &Testbed<'_>, tally: &Tally, kill: &Kill) -> Result<()> {
    let Kill { component, pod: uid, way } = kill;
    let observer = testbed.observer;
    let outage = Outage { component: *component, pod: uid.clone(), from: Instant::now(), to: None };
    let wanted = observer.read(|seen| seen.component(component.as_str()).count());
    let number = observer.update(|seen| {
        seen.outages.push(outage);
        seen.outages.len() - 1
    });
    tally.killed(&kill.name());
    let context = || format!("{}, its uid is {uid}", kill.name());
    let settled = match way {
        Method::Process => {
            let was_there = process::kill_operator(uid).with_context(context)?;
            ensure!(was_there, "{}: it has no process", context());
            let back = |seen: &Seen| match seen.operator.get(uid) {
                Some(pod) => (restarts(pod) > 0 && is_ready(pod)).then_some(true),
                None => Some(false),
            };
            let is_there = observer
                .wait_for("ready again", REPLACEMENT_TIMEOUT, back)
                .await
                .with_context(context)?;
            ensure!(is_there, "{}: the pod is gone, and nobody here deleted it", context());
            LIST_TIME
        }
        Method::Pod | Method::PodAtOnce => {
            let pod = observer.read(|seen| seen.operator.get(uid).cloned());
            let grace = (*way == Method::PodAtOnce).then_some(0);
            delete(testbed, &pod.with_context(context)?, grace).await.with_context(context)?;
            let replaced = |seen: &Seen| {
                let ready = seen.component(component.as_str()).filter(|pod| is_ready(pod)).count();
                (!seen.operator.contains_key(uid) && ready >= wanted).then_some(())
            };
            observer
                .wait_for("replaced", REPLACEMENT_TIMEOUT, replaced)
                .await
                .with_context(context)?;
            if *component == Component::Controller { LEASE_TIME } else { LIST_TIME }
        }
    };
    observer.update(|seen| {
        if let Some(outage) = seen.outages.get_mut(number) {
            outage.to = Some(Instant::now() + settled);
        }
    });
    Ok(())
}

async fn delete(testbed: &Testbed<'_>, pod: &Pod, grace: Option<u32>) -> Result<()> {
    let client = testbed.namespace.cluster.client.clone();
    let pods = Api::<Pod>::namespaced(client, &pod.namespace().unwrap_or_default());
    let params = DeleteParams { grace_period_seconds: grace, ..DeleteParams::default() };
    match pods.delete(&pod.name_any(), &params).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        outcome => outcome.map(drop).context("delete a pod of the operator"),
    }
}

fn restarts(pod: &Pod) -> i32 {
    let containers = pod.status.iter().flat_map(|s| s.container_statuses.iter().flatten());
    containers.map(|container| container.restart_count).sum()
}
