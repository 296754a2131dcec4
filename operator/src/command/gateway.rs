//! `browser-operator gateway`.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, ensure};
use ipnet::IpNet;
use jiff::Timestamp;
use prometheus_client::registry::Registry;
use support::{health::Ready, installation_key, panics, signals, watch::Scope};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::common::{AdminArgs, LogArgs, client, listen, watching_client};

#[derive(clap::Args, Debug)]
pub struct Args {
    /// The operator's own namespace, where its secrets are.
    #[arg(long, env = "POD_NAMESPACE")]
    namespace: String,
    /// The controllerName of the BrowserClasses that this gateway knows.
    #[arg(long, env = "CONTROLLER_NAME", default_value = crds::names::CONTROLLER_NAME)]
    controller_name: String,
    /// The namespaces whose sessions this gateway serves, separated by commas. Absent: all.
    #[arg(long, env = "WATCH_NAMESPACES", value_delimiter = ',')]
    watch_namespaces: Vec<String>,
    /// The Lease that the working controller holds, in the same namespace.
    #[arg(long, env = "CONTROLLER_LEASE", default_value = "browser-operator-controller")]
    controller_lease: String,
    /// The name of the installation key's Secret in that namespace.
    #[arg(long, env = "INSTALLATION_KEY_SECRET", default_value = installation_key::SECRET_NAME)]
    installation_key_secret: String,
    /// The address for clients.
    #[arg(long, env = "LISTEN", default_value = "[::]:4444")]
    listen: SocketAddr,
    /// The namespace of sessions whose client sends no credentials. Absent: such a client gets none.
    #[arg(long, env = "ANONYMOUS_NAMESPACE")]
    anonymous_namespace: Option<String>,
    /// The URL that clients reach the gateway by. Absent: what each request says.
    #[arg(long, env = "EXTERNAL_URL")]
    external_url: Option<String>,
    /// Creates a session for every GET of /json/version, for CDP clients that know only this gateway's URL.
    #[arg(long, env = "CDP_ON_DEMAND")]
    cdp_on_demand: bool,
    /// The web origins whose pages may send requests, separated by commas. Client libraries send no Origin and need none.
    #[arg(long, env = "ALLOWED_ORIGINS", value_delimiter = ',')]
    allowed_origins: Vec<String>,
    /// The networks of proxies whose X-Forwarded-* headers are believed, separated by commas; for example 10.0.0.0/8.
    #[arg(long, env = "TRUSTED_PROXIES", value_delimiter = ',')]
    trusted_proxies: Vec<IpNet>,
    /// Names that clients reach the gateway by, without a port, separated by commas; the host of the external URL, addresses, names
    /// without a dot and names of Services of the cluster need not be among them. With an anonymous namespace every other Host is refused.
    #[arg(long, env = "ALLOWED_HOSTS", value_delimiter = ',')]
    allowed_hosts: Vec<String>,
    /// What a Browserbase projectId means that is not the key's namespace.
    #[arg(long, env = "UNKNOWN_PROJECTS", value_enum, default_value = "refuse")]
    unknown_projects: UnknownProjects,
    /// Regions of the hosted services and what they are called in this cluster's classes, separated by commas; for example
    /// us-west-2=eu-central-1.
    #[arg(long, env = "REGIONS", value_delimiter = ',', value_parser = region)]
    regions: Vec<(String, String)>,
    /// The cluster's DNS domain.
    #[arg(long, env = "CLUSTER_DOMAIN", default_value = "cluster.local")]
    cluster_domain: String,
    /// How long a client waits for its session, in seconds.
    #[arg(long, env = "CREATE_TIMEOUT_SECONDS", default_value = "110")]
    create_timeout_seconds: u64,
    /// How long a client's connection may wait for its next request, in seconds: longer than the load balancers before it keep
    /// theirs.
    #[arg(long, env = "KEEP_ALIVE_SECONDS", default_value = "620")]
    keep_alive_seconds: u64,
    /// How long tunnels stay open after SIGTERM, in seconds.
    #[arg(long, env = "DRAIN_SECONDS", default_value = "20")]
    drain_seconds: u64,
    #[command(flatten)]
    admin: AdminArgs,
    #[command(flatten)]
    logs: LogArgs,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum UnknownProjects {
    /// It is refused.
    Refuse,
    /// It means the key's namespace.
    OwnNamespace,
}

fn region(text: &str) -> anyhow::Result<(String, String)> {
    let (theirs, ours) = text.split_once('=').context("must be THEIRS=OURS")?;
    ensure!(!theirs.is_empty() && !ours.is_empty(), "must be THEIRS=OURS");
    Ok((theirs.to_owned(), ours.to_owned()))
}

/// Runs the gateway until SIGTERM.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let Args {
        namespace,
        controller_name,
        watch_namespaces,
        controller_lease,
        installation_key_secret,
        listen: address,
        anonymous_namespace,
        external_url,
        cdp_on_demand,
        allowed_origins,
        trusted_proxies,
        allowed_hosts,
        unknown_projects,
        regions,
        cluster_domain,
        create_timeout_seconds,
        keep_alive_seconds,
        drain_seconds,
        admin,
        logs,
    } = args;
    logs.start();
    let stop = signals::shutdown().context("listen for signals")?;
    let (tasks, ready, mut registry) = (TaskTracker::new(), Ready::default(), Registry::default());
    panics::report(&mut registry);
    let metrics = gateway::metrics(&mut registry);
    // The admin port outlives the clients' port, to say that this replica is not ready any more.
    let admin_stop = CancellationToken::new();
    admin.start(ready.clone(), registry, admin_stop.clone(), &tasks).await?;

    let writing = client().await?;
    let key = tokio::select! {
        key = installation_key::wait(writing.clone(), &namespace, &installation_key_secret) => key?,
        () = stop.cancelled() => return Ok(()),
    };
    #[expect(clippy::disallowed_methods, reason = "here the clock enters")]
    let clock = Timestamp::now;
    let settings = gateway::Settings {
        namespace,
        controller_name,
        scope: Scope::of(watch_namespaces),
        controller_lease,
        clock,
        anonymous_namespace,
        urls: gateway::UrlSettings {
            external: external_url.map(|url| url.trim_end_matches('/').to_owned()),
            trusted_proxies,
            cluster_domain,
            allowed_hosts,
        },
        services: gateway::ServiceSettings {
            unknown_projects: match unknown_projects {
                UnknownProjects::Refuse => gateway::UnknownProjects::Refuse,
                UnknownProjects::OwnNamespace => gateway::UnknownProjects::OwnNamespace,
            },
            regions: regions.into_iter().collect(),
        },
        cdp_on_demand,
        allowed_origins,
        create_timeout: Duration::from_secs(create_timeout_seconds),
        keep_alive: Duration::from_secs(keep_alive_seconds),
        drain: Duration::from_secs(drain_seconds),
    };
    let clients = gateway::Clients { watching: watching_client().await?, writing };
    let listener = listen(address).await?;
    gateway::run(clients, key, settings, metrics, listener, ready, stop).await;
    admin_stop.cancel();
    tasks.close();
    tasks.wait().await;
    Ok(())
}
