//! What breaks: an agent, a browser, a driver, a pod.

use std::time::Duration;

use anyhow::{Context, Result};
use kube::api::{DeleteParams, EvictParams};
use tokio::time::{interval, timeout};

use super::{
    plan::{Deed, Harm},
    process,
    record::Record,
    stage::Stage,
};

/// How long the process may take to be there.
const THERE: Duration = Duration::from_secs(20);
/// How long the object of a session that is being made may take to be seen.
const SEEN: Duration = Duration::from_secs(150);

/// Harms a session that is on its way, as soon as it has a pod and some time has passed. Does nothing to one that has none.
pub async fn early(stage: &Stage<'_>, record: &Record, harm: Harm) -> Result<()> {
    let number = record.plan.number;
    let find = |seen: &super::observer::Seen| {
        let (uid, life) = seen.of_cycle(number)?;
        (life.is_over() || seen.pod_of(uid).is_some()).then(|| uid.clone())
    };
    let Ok(session) = stage.observer.until("a pod", SEEN, find).await else { return Ok(()) };
    tokio::time::sleep(record.plan.patience).await;
    inflict(stage, record, &session, harm).await
}

/// Harms a session now, if it has a pod.
pub async fn inflict(stage: &Stage<'_>, record: &Record, session: &str, harm: Harm) -> Result<()> {
    let found = stage.observer.look(|seen| {
        let (uid, pod) = seen.pod_of(session)?;
        let early = seen.lives.get(session).is_some_and(|life| life.ready.is_none());
        (!seen.is_over(session)).then(|| (uid.clone(), pod.name.clone(), early))
    });
    let Some((uid, name, early)) = found else {
        record.tell("there is no pod to harm");
        return Ok(());
    };
    let deed = Deed::Harm(harm);
    match harm {
        Harm::Pod => {
            record.deed(deed);
            allow_gone(
                stage.namespace.pods().delete(&name, &DeleteParams::default()).await.map(drop),
            )
        }
        Harm::Eviction => {
            record.deed(deed);
            let evicted = stage.namespace.pods().evict(&name, &EvictParams::default()).await;
            allow_gone(evicted.map(drop))
        }
        Harm::Agent | Harm::Browser | Harm::Driver => kill(record, &uid, harm, early).await,
    }
}

async fn kill(record: &Record, pod: &str, harm: Harm, early: bool) -> Result<()> {
    let killing = async {
        let mut pace = interval(Duration::from_millis(20));
        loop {
            pace.tick().await;
            if process::harm(pod, harm)? {
                return anyhow::Ok(());
            }
        }
    };
    if !early && !crate::local::is_here(pod) {
        record.tell("its processes are not on this machine");
        return Ok(());
    }
    // A deed counts from before it is done.
    record.deed(Deed::Harm(harm));
    match timeout(THERE, killing).await {
        Ok(killed) => killed,
        Err(_) => {
            record.keep(|kept| _ = kept.deeds.pop());
            record.tell("there was no such process");
            Ok(())
        }
    }
}

/// What was to be harmed may have gone by itself.
fn allow_gone(outcome: kube::Result<()>) -> Result<()> {
    match outcome {
        Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => Ok(()),
        outcome => outcome.context("harm the pod"),
    }
}
