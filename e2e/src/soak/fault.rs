//! Faults: an agent, browser or driver is killed, a pod deleted or evicted.

use std::time::Duration;

use anyhow::{Context, Result};
use kube::api::{DeleteParams, EvictParams};
use tokio::time::{interval, timeout};

use super::{
    journal::Journal,
    plan::{Action, Fault},
    process,
    testbed::Testbed,
};

/// For the process to exist.
const PROCESS_TIMEOUT: Duration = Duration::from_secs(20);
/// For the object of a session under creation to be seen.
const POD_TIMEOUT: Duration = Duration::from_secs(150);

/// Injects a fault into a session under creation, some time after it has a pod; does nothing if it never has one.
pub async fn inject_early(testbed: &Testbed<'_>, journal: &Journal, fault: Fault) -> Result<()> {
    let number = journal.plan.number;
    let find = |seen: &super::observer::Seen| {
        let (uid, history) = seen.of_cycle(number)?;
        (history.is_over() || seen.pod_of(uid).is_some()).then(|| uid.clone())
    };
    let Ok(session) = testbed.observer.wait_for("a pod", POD_TIMEOUT, find).await else {
        return Ok(());
    };
    tokio::time::sleep(journal.plan.delay).await;
    inject(testbed, journal, &session, fault).await
}

/// Injects a fault now, if the session has a pod.
pub async fn inject(
    testbed: &Testbed<'_>,
    journal: &Journal,
    session: &str,
    fault: Fault,
) -> Result<()> {
    let found = testbed.observer.read(|seen| {
        let (uid, pod) = seen.pod_of(session)?;
        let early = seen.sessions.get(session).is_some_and(|history| history.ready.is_none());
        (!seen.is_over(session)).then(|| (uid.clone(), pod.name.clone(), early))
    });
    let Some((uid, name, early)) = found else {
        journal.log("there is no pod to harm");
        return Ok(());
    };
    let action = Action::Fault(fault);
    match fault {
        Fault::Pod => {
            journal.action(action);
            allow_gone(
                testbed.namespace.pods().delete(&name, &DeleteParams::default()).await.map(drop),
            )
        }
        Fault::Eviction => {
            journal.action(action);
            let evicted = testbed.namespace.pods().evict(&name, &EvictParams::default()).await;
            allow_gone(evicted.map(drop))
        }
        Fault::Agent | Fault::Browser | Fault::Driver => kill(journal, &uid, fault, early).await,
    }
}

async fn kill(journal: &Journal, pod: &str, fault: Fault, early: bool) -> Result<()> {
    let killing = async {
        let mut pace = interval(Duration::from_millis(20));
        loop {
            pace.tick().await;
            if process::harm(pod, fault)? {
                return anyhow::Ok(());
            }
        }
    };
    if !early && !crate::local::is_here(pod) {
        journal.log("its processes are not on this machine");
        return Ok(());
    }
    // A deed counts from before it is done.
    journal.action(Action::Fault(fault));
    match timeout(PROCESS_TIMEOUT, killing).await {
        Ok(killed) => killed,
        Err(_) => {
            journal.note(|evidence| _ = evidence.actions.pop());
            journal.log("there was no such process");
            Ok(())
        }
    }
}

/// The pod may have gone by itself.
fn allow_gone(outcome: kube::Result<()>) -> Result<()> {
    match outcome {
        Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => Ok(()),
        outcome => outcome.context("harm the pod"),
    }
}
