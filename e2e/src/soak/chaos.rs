//! The operator is killed, and comes back.

use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt, api::DeleteParams};
use tokio::time::{Instant, sleep};

use super::{
    observer::Seen,
    outage::{Component, Outage},
    process,
    random::Random,
    stage::Stage,
    tally::Tally,
};
use crate::operator::is_ready;

/// How long whoever takes its place may take.
const BACK: Duration = Duration::from_secs(120);
/// How long a controller that is ready may need until it has seen all there is.
const SETTLED: Duration = Duration::from_secs(2);
/// The same where it may wait for the other one's Lease.
const LEASE: Duration = Duration::from_secs(17);
/// Between two kills, in milliseconds.
const PAUSE: (u64, u64) = (8_000, 25_000);

/// Kills, and waits until all is whole again, until that is over.
///
/// # Errors
/// What was killed does not come back.
pub async fn run(
    stage: &Stage<'_>,
    tally: &Tally,
    random: &mut Random,
    is_over: impl Fn() -> bool,
) -> Result<()> {
    loop {
        let pause = random.between(PAUSE.0, PAUSE.1);
        let begun = Instant::now();
        // In pieces, so that the end need not wait for it.
        while begun.elapsed() < pause && !is_over() {
            sleep(Duration::from_millis(200)).await;
        }
        if is_over() {
            return Ok(());
        }
        match random.below(10) {
            0..4 => kill(stage, tally, random, Component::Controller).await?,
            4..8 => kill(stage, tally, random, Component::Gateway).await?,
            8 => {
                let mut other = random.clone();
                let both = tokio::join!(
                    kill(stage, tally, random, Component::Controller),
                    kill(stage, tally, &mut other, Component::Gateway),
                );
                both.0.and(both.1)?;
            }
            _ => {
                // Most often both of them, then.
                let mut other = random.clone();
                other.below(2);
                let both = tokio::join!(
                    kill(stage, tally, random, Component::Gateway),
                    kill(stage, tally, &mut other, Component::Gateway),
                );
                both.0.and(both.1)?;
            }
        }
    }
}

/// Kills one pod of a component, in one of the ways that there are.
async fn kill(
    stage: &Stage<'_>,
    tally: &Tally,
    random: &mut Random,
    component: Component,
) -> Result<()> {
    let observer = stage.observer;
    let victims: Vec<Pod> = observer.look(|seen| {
        seen.component(component.as_str()).filter(|pod| is_ready(pod)).cloned().collect()
    });
    let Some(pod) = random.pick(&victims) else { return Ok(()) };
    let uid = pod.uid().context("the uid of a pod")?;
    let wanted = observer.look(|seen| seen.component(component.as_str()).count());
    // A second kill of the same container would wait for the kubelet's patience.
    let by_signal = restarts(pod) == 0 && crate::local::is_here(&uid) && random.percent(50);
    let outage = Outage { component, pod: uid.clone(), from: Instant::now(), to: None };
    let number = observer.note(|seen| {
        seen.outages.push(outage);
        seen.outages.len() - 1
    });
    let settled = if by_signal {
        process::kill_operator(&uid)?;
        tally.killed(&format!("{} process", component.as_str()));
        let back = |seen: &Seen| {
            let pod = seen.operator.get(&uid)?;
            (restarts(pod) > 0 && is_ready(pod)).then_some(())
        };
        observer.until("ready again: a killed process", BACK, back).await?;
        SETTLED
    } else {
        let grace = random.percent(50).then_some(0);
        let how = if grace.is_some() { "pod, at once" } else { "pod" };
        tally.killed(&format!("{} {how}", component.as_str()));
        delete(stage, pod, grace).await?;
        let replaced = |seen: &Seen| {
            let ready = seen.component(component.as_str()).filter(|pod| is_ready(pod)).count();
            (!seen.operator.contains_key(&uid) && ready >= wanted).then_some(())
        };
        observer.until("replaced: a deleted pod", BACK, replaced).await?;
        if component == Component::Controller { LEASE } else { SETTLED }
    };
    observer.note(|seen| {
        if let Some(outage) = seen.outages.get_mut(number) {
            outage.to = Some(Instant::now() + settled);
        }
    });
    Ok(())
}

async fn delete(stage: &Stage<'_>, pod: &Pod, grace: Option<u32>) -> Result<()> {
    let client = stage.namespace.cluster.client.clone();
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
