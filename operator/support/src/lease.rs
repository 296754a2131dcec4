//! Leader election by a Lease. It only saves work: two replicas that work at once do no harm.

use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::{
    api::coordination::v1::Lease as LeaseObject,
    jiff::{SignedDuration, Timestamp},
};
use kube::{
    Client,
    runtime::watcher::{Config, Event},
};
use kube_lease_manager::{LeaseManagerBuilder, LeaseManagerError};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::watch;

/// After how many seconds without renewal another replica takes the Lease.
const DURATION: u64 = 15;
/// How many seconds before that it is renewed.
const GRACE: u64 = 5;
/// How long it may take to get a Lease that is free; another replica may have been faster.
const TAKE_TIMEOUT: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_secs(1);

#[derive(Clone, Debug)]
pub struct Lease {
    pub namespace: String,
    pub name: String,
    /// Who holds it. A replica that restarts under the same name has it at once.
    pub identity: String,
}

/// Runs `work` whenever this replica holds the Lease, until `stop`; then releases the Lease. `work` must return when its
/// token is cancelled.
///
/// # Errors
/// The Lease cannot be made or read at the beginning.
pub async fn while_held(
    client: Client,
    lease: Lease,
    clock: fn() -> Timestamp,
    stop: CancellationToken,
    work: impl AsyncFn(CancellationToken),
) -> Result<(), LeaseManagerError> {
    let mut has_tried = false;
    loop {
        until_free(&client, &lease, clock, &stop).await;
        if stop.is_cancelled() {
            return Ok(());
        }
        match hold(&client, &lease, &stop, &work).await {
            Err(error) if has_tried => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, lease = lease.name, "the Lease cannot be taken");
                stop.run_until_cancelled(sleep(RETRY)).await;
            }
            outcome => outcome?,
        }
        has_tried = true;
    }
}

/// Waits until this replica may take the Lease. Its release is heard of by a watch: the manager would look again only when
/// the time is up.
async fn until_free(
    client: &Client,
    lease: &Lease,
    clock: fn() -> Timestamp,
    stop: &CancellationToken,
) {
    let config = Config::default().fields(&format!("metadata.name={}", lease.name));
    let events =
        watch::events_in::<LeaseObject>(client, &lease.namespace, config, stop.child_token());
    let mut events = std::pin::pin!(events);
    let (mut left, mut is_there) = (Duration::from_secs(DURATION), false);
    while let Ok(Some(event)) = timeout(left, events.next()).await {
        let held = match event {
            Event::Init => continue,
            Event::InitDone if is_there => continue,
            Event::InitDone | Event::Delete(_) => None,
            Event::InitApply(object) | Event::Apply(object) => {
                is_there = true;
                time_left(&object, &lease.identity, clock())
            }
        };
        match held {
            Some(held) => left = held,
            None => return,
        }
    }
}

/// How long another replica still holds a Lease; `None`: it is free.
fn time_left(lease: &LeaseObject, identity: &str, now: Timestamp) -> Option<Duration> {
    let spec = lease.spec.as_ref()?;
    spec.holder_identity.as_ref().filter(|holder| *holder != identity)?;
    let seconds = spec.lease_duration_seconds.unwrap_or(0);
    let until = spec.renew_time.as_ref()?.0 + SignedDuration::from_secs(seconds.into());
    Duration::try_from(until.duration_since(now)).ok().filter(|left| !left.is_zero())
}

/// Takes the Lease, works until it is lost or `stop`, and gives it back.
async fn hold(
    client: &Client,
    lease: &Lease,
    stop: &CancellationToken,
    work: &impl AsyncFn(CancellationToken),
) -> Result<(), LeaseManagerError> {
    let manager = LeaseManagerBuilder::new(client.clone(), &lease.name)
        .with_namespace(&lease.namespace)
        .with_identity(&lease.identity)
        .with_duration(DURATION)
        .with_grace(GRACE)
        .build()
        .await?;
    let (mut held, task) = manager.watch().await;
    let is_held = tokio::select! {
        taken = timeout(TAKE_TIMEOUT, held.wait_for(|held| *held)) => matches!(taken, Ok(Ok(_))),
        () = stop.cancelled() => false,
    };
    if is_held {
        tracing::info!(lease = lease.name, identity = lease.identity, "this replica works");
        let lost = stop.child_token();
        let working = work(lost.clone());
        tokio::pin!(working);
        tokio::select! {
            () = &mut working => {}
            // An error is the end of the task that renews it, and so the loss.
            _ = held.wait_for(|held| !*held) => {
                tracing::warn!(lease = lease.name, "the Lease is lost: this replica waits");
                lost.cancel();
                working.await;
            }
        }
    }
    // With its last receiver gone it gives the Lease back.
    drop(held);
    match task.await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "the Lease was not given back");
        }
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "the Lease's task ended badly");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_lease_is_free_when_nobody_else_holds_it_in_time() {
        let now = "2026-01-01T00:00:10Z".parse().unwrap();
        let left = |holder: Option<&str>, renewed: Option<&str>| {
            let spec = json!({"holderIdentity": holder, "leaseDurationSeconds": 15,
                "renewTime": renewed.map(|at| format!("2026-01-01T{at}.000000Z"))});
            let lease = serde_json::from_value(json!({"metadata": {}, "spec": spec})).unwrap();
            time_left(&lease, "me", now)
        };
        assert_eq!(left(Some("other"), Some("00:00:05")), Some(Duration::from_secs(10)));
        for (holder, renewed) in
            [(None, Some("00:00:05")), (Some("me"), Some("00:00:05")), (Some("other"), None)]
        {
            assert_eq!(left(holder, renewed), None, "{holder:?}");
        }
        let late =
            serde_json::from_value(json!({"metadata": {}, "spec": {"holderIdentity": "other",
            "leaseDurationSeconds": 5, "renewTime": "2026-01-01T00:00:00.000000Z"}}));
        assert_eq!(time_left(&late.unwrap(), "me", now), None, "its time is up");
    }
}
