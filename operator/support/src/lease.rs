//! Leader election by a Lease. It only saves work: two replicas that work at once do no harm.

use kube::Client;
use kube_lease_manager::{LeaseManagerBuilder, LeaseManagerError};
use tokio_util::sync::CancellationToken;

/// After how many seconds without renewal another replica takes the Lease.
const DURATION: u64 = 15;
/// How many seconds before that it is renewed.
const GRACE: u64 = 5;

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
    stop: CancellationToken,
    work: impl AsyncFn(CancellationToken),
) -> Result<(), LeaseManagerError> {
    let manager = LeaseManagerBuilder::new(client, &lease.name)
        .with_namespace(&lease.namespace)
        .with_identity(&lease.identity)
        .with_duration(DURATION)
        .with_grace(GRACE)
        .build()
        .await?;
    let (mut held, task) = manager.watch().await;
    loop {
        tokio::select! {
            held = held.wait_for(|held| *held) => if held.is_err() { break },
            () = stop.cancelled() => break,
        }
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
        if stop.is_cancelled() {
            break;
        }
    }
    // With its last receiver gone it gives the Lease back.
    drop(held);
    match task.await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the Lease was not given back"
            );
        }
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the Lease's task ended badly"
            );
        }
    }
    Ok(())
}
