//! `browser-operator agent`.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use agent_api::{End, bind::Prepare, pod_token::TokenHash};
use anyhow::Context;
use crds::Reason;
use support::{panics, signals};

use super::common::LogArgs;

/// The exit code of a process that SIGTERM ends.
const SIGTERM_EXIT_CODE: i32 = 143;

/// Flags of the agent. None of them is a secret. A controller may give an image of another version none but `--token-sha256` and
/// `--prepare`: what comes to be told stands in `--prepare`, whose unknown members are left alone.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The address for the controller and the gateways.
    #[arg(long, default_value = "[::]:4444")]
    listen: SocketAddr,
    /// The SHA-256 of the token that they authenticate with, in hexadecimal.
    #[arg(long)]
    token_sha256: String,
    /// What to prepare before the bind, as JSON.
    #[arg(long)]
    prepare: String,
    /// The driver's program.
    #[arg(long, env = "BROWSER_DRIVER", default_value = "/usr/bin/chromedriver")]
    driver: PathBuf,
    /// The browser's program. Absent: the driver's choice.
    #[arg(long, env = "BROWSER_BINARY")]
    browser: Option<PathBuf>,
    /// The file for the termination message.
    #[arg(long, default_value = "/dev/termination-log")]
    termination_log: PathBuf,
    /// How long to wait for a session, in seconds.
    #[arg(long, default_value = "600")]
    unbound_timeout_seconds: u64,
    #[command(flatten)]
    logs: LogArgs,
}

/// Runs the agent until its session ends.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let Args {
        listen,
        token_sha256,
        prepare,
        driver,
        browser,
        termination_log,
        unbound_timeout_seconds,
        logs,
    } = args;
    logs.start();
    panics::report_without_metric();
    // Whatever breaks out of the browser must not read this process, which knows the session's id.
    nix::sys::prctl::set_dumpable(false).context("make this process undumpable")?;
    let prepare = match serde_json::from_str::<Prepare>(&prepare) {
        Ok(prepare) => prepare,
        Err(error) => {
            // A controller of another version made this pod: it reads why, instead of an exit code.
            let end = End::new(
                Reason::AgentIncompatible,
                format!("the agent cannot read --prepare: {error}"),
            );
            std::fs::write(&termination_log, end.to_termination_message())
                .context("write the termination message")?;
            return Err(error).context("--prepare");
        }
    };
    let config = agent::Config {
        listen,
        token_hash: TokenHash::from_hex(&token_sha256)
            .context("--token-sha256 must be 64 hexadecimal digits")?,
        prepare,
        driver,
        browser,
        termination_log,
        unbound_timeout: Duration::from_secs(unbound_timeout_seconds),
    };
    let stop = signals::shutdown().context("listen for signals")?;
    let end = agent::run(config, stop).await?;
    if end.reason == Reason::PodDeleted {
        // A container that exits with 0 makes its pod Succeeded, and then the kubelet forgets why it stopped the pod.
        std::process::exit(SIGTERM_EXIT_CODE);
    }
    Ok(())
}
