//! What the roles have in common: their logs, their second port, their client.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use clap::{Args, ValueEnum};
use kube::{Client, Config};
use prometheus_client::registry::Registry;
use support::{
    health::{self, Ready},
    logs,
};
use tokio::{net::TcpListener, runtime::Builder};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How a log line looks.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// Flags of every role's logs.
#[derive(Args, Debug)]
pub struct LogArgs {
    /// How a log line looks.
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value = "json")]
    log_format: LogFormat,
    /// What is logged: a list of target=level.
    #[arg(long, env = "LOG_FILTER", default_value = "info")]
    log_filter: String,
}

impl LogArgs {
    /// Starts logging.
    pub fn start(&self) {
        let format = match self.log_format {
            LogFormat::Json => logs::Format::Json,
            LogFormat::Text => logs::Format::Text,
        };
        logs::start(format, &self.log_filter);
    }
}

/// Flags of a role's second port.
#[derive(Args, Debug)]
pub struct AdminArgs {
    /// Where /healthz, /readyz and /metrics are.
    #[arg(long, env = "ADMIN_LISTEN", default_value = "0.0.0.0:8080")]
    admin_listen: SocketAddr,
}

impl AdminArgs {
    /// Serves the second port.
    ///
    /// # Errors
    /// The port cannot be listened on.
    pub async fn start(
        &self,
        ready: Ready,
        metrics: Registry,
        stop: CancellationToken,
        tasks: &TaskTracker,
    ) -> anyhow::Result<()> {
        let listener = listen(self.admin_listen).await?;
        tasks.spawn(health::run(listener, ready, Arc::new(metrics), stop, tasks.clone()));
        Ok(())
    }
}

/// Listens on an address.
///
/// # Errors
/// It is taken, or not ours.
pub async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("listen on {address}"))
}

/// How long the API server may take for an answer.
const ANSWER: Duration = Duration::from_secs(30);
/// How long a watch may be silent: the API server sends a bookmark every minute.
const SILENCE: Duration = Duration::from_secs(150);

/// A client of the cluster that this process is in, or that KUBECONFIG names.
///
/// # Errors
/// There is no such cluster.
pub async fn client() -> anyhow::Result<Client> {
    client_with(ANSWER).await
}

/// The same for watches, on connections of their own.
///
/// # Errors
/// There is no such cluster.
pub async fn watching_client() -> anyhow::Result<Client> {
    client_with(SILENCE).await
}

/// A server that is gone without a word must not be waited for as long as TCP would.
async fn client_with(read_timeout: Duration) -> anyhow::Result<Client> {
    let mut config = Config::infer().await.context("find the cluster")?;
    config.read_timeout = Some(read_timeout);
    Client::try_from(config).context("a client of the cluster")
}

/// A runtime with a thread for each core.
pub fn on_all_cores() -> Builder {
    Builder::new_multi_thread()
}

/// A runtime of one thread: what serves one client at a time is faster where no other thread need be woken.
pub fn on_one_thread() -> Builder {
    Builder::new_current_thread()
}

/// Runs a role on its own runtime.
///
/// # Errors
/// The role's.
pub fn block_on(
    mut runtime: Builder,
    role: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("a TLS provider is installed already"))?;
    let runtime = runtime.enable_all().build().context("start the runtime")?;
    let outcome = runtime.block_on(role);
    // Work that cannot be stopped, such as an upload that is being unpacked, does not hold up the end.
    runtime.shutdown_timeout(LAST_WORK);
    outcome
}

/// How long such work may take.
const LAST_WORK: Duration = Duration::from_millis(100);
