//! `browser-operator controller`.

use anyhow::Context;
use jiff::Timestamp;
use prometheus_client::registry::Registry;
use support::{
    health::Ready,
    installation_key,
    lease::{self, Lease},
    signals,
};
use tokio_util::task::TaskTracker;

use super::common::{AdminArgs, LogArgs, client, watching_client};

#[derive(clap::Args, Debug)]
pub struct Args {
    /// The operator's own namespace, where its secrets are.
    #[arg(long, env = "POD_NAMESPACE")]
    namespace: String,
    /// The gateway's URL in a session's status.
    #[arg(long, env = "GATEWAY_URL")]
    gateway_url: String,
    /// The domain of the cluster's DNS names.
    #[arg(long, env = "CLUSTER_DOMAIN", default_value = "cluster.local")]
    cluster_domain: String,
    /// The name of this replica's pod, for the Lease and for Events.
    #[arg(long, env = "POD_NAME")]
    identity: String,
    /// The name of the Lease in the operator's namespace; only its holder reconciles.
    #[arg(long, env = "LEASE", default_value = "browser-operator-controller")]
    lease: String,
    #[command(flatten)]
    admin: AdminArgs,
    #[command(flatten)]
    logs: LogArgs,
}

/// Runs the controller until SIGTERM.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let Args { namespace, gateway_url, cluster_domain, identity, lease, admin, logs } = args;
    logs.start();
    let stop = signals::shutdown().context("listen for signals")?;
    let (tasks, ready, mut registry) = (TaskTracker::new(), Ready::default(), Registry::default());
    let metrics = controller::metrics(&mut registry);
    admin.start(ready.clone(), registry, stop.clone(), &tasks).await?;

    let writing = client().await?;
    let key = installation_key::ensure(writing.clone(), &namespace).await?;
    let settings = controller::Settings {
        gateway_url: gateway_url.trim_end_matches('/').to_owned(),
        cluster_domain,
        identity: identity.clone(),
    };
    let lease = Lease { namespace, name: lease, identity };
    #[expect(clippy::disallowed_methods, reason = "here the clock enters")]
    let clock = Timestamp::now;
    let clients =
        controller::Clients { watching: watching_client().await?, writing: writing.clone() };
    // A replica that waits for the Lease counts as ready.
    ready.set(true);
    let process_stop = stop.clone();
    lease::while_held(writing, lease, clock, stop, async |stop| {
        let (clients, key, settings) = (clients.clone(), key.clone(), settings.clone());
        controller::run(clients, key, settings, metrics.clone(), clock, ready.clone(), stop).await;
        ready.set(!process_stop.is_cancelled());
    })
    .await
    .context("the Lease")?;
    tasks.close();
    tasks.wait().await;
    Ok(())
}
