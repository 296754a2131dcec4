//! What breaks: an agent, a browser, a driver, a pod.

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

/// How long the process may take to be there.
const THERE: Duration = Duration::from_secs(20);
/// How long the object of a session that is being made may take to be seen.
const SEEN: Duration = Duration::from_secs(150);

/// Harms a session that is on its way, as soon as it has a pod and some time has passed. Does nothing to one that has none.
pub async fn inject_early(testbed: &Testbed<'_>, journal: &Journal, fault: Fault) -> Result<()> {
    let number = journal.plan.number;
    let find = |seen: &super::observer::Seen| {
        let (uid, history) = seen.of_cycle(number)?;
        (history.is_over() || seen.pod_of(uid).is_some()).then(|| uid.clone())
    };
    let Ok(session) = testbed.observer.until("a pod", SEEN, find).await else { return Ok(()) };
    tokio::time::sleep(journal.plan.delay).await;
    inject(testbed, journal, &session, fault).await
}

/// Harms a session now, if it has a pod.
pub async fn inject(
    testbed: &Testbed<'_>,
    journal: &Journal,
    session: &str,
    fault: Fault,
) -> Result<()> {
    let found = testbed.observer.look(|seen| {
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
    match timeout(THERE, killing).await {
        Ok(killed) => killed,
        Err(_) => {
            journal.note(|evidence| _ = evidence.actions.pop());
            journal.log("there was no such process");
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
