//! `browser-operator controller`.

use std::net::IpAddr;

use anyhow::Context;
use crds::names;
use ipnet::IpNet;
use jiff::Timestamp;
use prometheus_client::registry::Registry;
use support::{
    health::Ready,
    installation_key,
    lease::{self, Lease},
    panics, signals,
    watch::Scope,
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
    /// The networks of the cluster's pods, Services and nodes, separated by commas. Empty: as Nodes and ServiceCIDRs
    /// say; where they do not, every private one is taken for theirs.
    #[arg(long, env = "CLUSTER_NETWORKS", value_delimiter = ',')]
    cluster_networks: Vec<IpNet>,
    /// The NetworkPolicies of browsers' pods, as JSON: the selectors `controller` and `gateway` of this release's pods, the rules
    /// `dns` and `egress`, the peers `from`. Absent: none are made.
    #[arg(long, env = "NETWORK_POLICY", value_parser = network_policy)]
    network_policy: Option<controller::PolicySettings>,
    /// The addresses of this replica's pod, separated by commas.
    #[arg(long, env = "POD_IPS", value_delimiter = ',')]
    own_ips: Vec<IpAddr>,
    /// The name of this replica's pod, for the Lease and for Events.
    #[arg(long, env = "POD_NAME")]
    identity: String,
    /// The name of the Lease in the operator's namespace; only its holder reconciles.
    #[arg(long, env = "LEASE", default_value = "browser-operator-controller")]
    lease: String,
    /// The controller's name: it acts on the BrowserClasses with this controllerName, and on their sessions.
    #[arg(long, env = "CONTROLLER_NAME", default_value = names::CONTROLLER_NAME)]
    controller_name: String,
    /// The namespaces whose sessions are reconciled, separated by commas. Empty: all.
    #[arg(long, env = "WATCH_NAMESPACES", value_delimiter = ',')]
    watch_namespaces: Vec<String>,
    /// The name of the installation key's Secret in the operator's namespace.
    #[arg(long, env = "INSTALLATION_KEY_SECRET", default_value = installation_key::SECRET_NAME)]
    installation_key_secret: String,
    /// How many steps that read or write the API server are taken at a time.
    #[arg(long, env = "CONCURRENT_STEPS", default_value_t = 256)]
    concurrent_steps: usize,
    /// How many agents are asked at a time to take their sessions.
    #[arg(long, env = "CONCURRENT_BINDS", default_value_t = 1024)]
    concurrent_binds: usize,
    #[command(flatten)]
    admin: AdminArgs,
    #[command(flatten)]
    logs: LogArgs,
}

fn network_policy(text: &str) -> serde_json::Result<controller::PolicySettings> {
    serde_json::from_str(text)
}

/// Runs the controller until SIGTERM.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let Args {
        namespace,
        gateway_url,
        cluster_domain,
        cluster_networks,
        network_policy,
        own_ips,
        identity,
        lease,
        controller_name,
        watch_namespaces,
        installation_key_secret,
        concurrent_steps,
        concurrent_binds,
        admin,
        logs,
    } = args;
    logs.start();
    let stop = signals::shutdown().context("listen for signals")?;
    let (tasks, ready, mut registry) = (TaskTracker::new(), Ready::default(), Registry::default());
    panics::report(&mut registry);
    let metrics = controller::metrics(&mut registry);
    admin.start(ready.clone(), registry, stop.clone(), &tasks).await?;

    let writing = client().await?;
    let key =
        installation_key::ensure(writing.clone(), &namespace, &installation_key_secret).await?;
    let settings = controller::Settings {
        gateway_url: gateway_url.trim_end_matches('/').to_owned(),
        cluster_domain,
        cluster_networks,
        operator_namespace: namespace.clone(),
        network_policy,
        own_ips,
        identity: identity.clone(),
        controller_name,
        namespaces: Scope::of(watch_namespaces),
        concurrent_steps,
        concurrent_binds,
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
