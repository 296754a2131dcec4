//! What the roles share: logs, the admin port, the client of the cluster, the runtime.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use clap::{Args, ValueEnum};
use kube::{Client, Config};
use prometheus_client::registry::Registry;
use support::{
    health::{self, Ready},
    logs, panics, watch,
};
use tokio::{net::TcpListener, runtime::Builder};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

#[derive(Args, Debug)]
pub struct LogArgs {
    /// The format of log lines.
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value = "json")]
    log_format: LogFormat,
    /// What is logged: a list of target=level.
    #[arg(long, env = "LOG_FILTER", default_value = "info")]
    log_filter: String,
}

impl LogArgs {
    pub fn start(&self) {
        let format = match self.log_format {
            LogFormat::Json => logs::Format::Json,
            LogFormat::Text => logs::Format::Text,
        };
        logs::start(format, &self.log_filter);
    }
}

#[derive(Args, Debug)]
pub struct AdminArgs {
    /// The address of /healthz, /readyz and /metrics.
    #[arg(long, env = "ADMIN_LISTEN", default_value = "[::]:8080")]
    admin_listen: SocketAddr,
}

impl AdminArgs {
    /// Serves the admin port.
    pub async fn start(
        &self,
        ready: Ready,
        metrics: Registry,
        stop: CancellationToken,
        tasks: &TaskTracker,
    ) -> anyhow::Result<()> {
        let listener = listen(self.admin_listen).await?;
        let serving = health::run(listener, ready, Arc::new(metrics), stop, tasks.clone());
        tasks.spawn(panics::essential(serving));
        Ok(())
    }
}

pub async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    net::tcp::bind(address).await.with_context(|| format!("listen on {address}"))
}

/// How long the API server may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// A client of the cluster that this process is in, or that KUBECONFIG names.
pub async fn client() -> anyhow::Result<Client> {
    client_with(ANSWER_TIMEOUT).await
}

/// The same for watches, on connections of their own.
pub async fn watching_client() -> anyhow::Result<Client> {
    client_with(watch::SILENCE).await
}

/// `read_timeout`: TCP alone would wait for minutes for a server that is gone.
async fn client_with(read_timeout: Duration) -> anyhow::Result<Client> {
    let mut config = Config::infer().await.context("find the cluster")?;
    config.read_timeout = Some(read_timeout);
    Client::try_from(config).context("a client of the cluster")
}

pub fn on_all_cores() -> Builder {
    Builder::new_multi_thread()
}

/// For what serves one client at a time: no other thread need be woken.
pub fn on_one_thread() -> Builder {
    Builder::new_current_thread()
}

/// Runs a role on its own runtime.
pub fn block_on(
    mut runtime: Builder,
    role: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("a TLS provider is installed already"))?;
    let runtime = runtime.enable_all().build().context("start the runtime")?;
    let outcome = runtime.block_on(role);
    // Work that cannot be cancelled, such as unpacking an upload, must not delay the exit.
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
    outcome
}

const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(100);
