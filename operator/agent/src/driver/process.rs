//! The driver's process: started, watched, and killed with its agent.

use std::{
    future::pending,
    io,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::atomic::{AtomicI32, Ordering},
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, ChildStdout, Command},
};

use crate::end::EndLatch;

/// What the driver may print before its port, in bytes.
const MAX_PREFACE: u64 = 64 * 1024;

/// The driver's process id, for the reaper of orphans. 0: none.
static DRIVER_PID: AtomicI32 = AtomicI32::new(0);

/// Whether that process is the driver, whose exit status is tokio's to take.
pub fn is_driver(pid: i32) -> bool {
    DRIVER_PID.load(Ordering::Acquire) == pid
}

/// How the driver is started.
pub struct DriverCommand<'a> {
    pub program: &'a Path,
    pub arguments: &'a [String],
    /// What its environment has beside the agent's own.
    pub environment: &'a [(&'a str, &'a str)],
    /// The text that it prints before its port, when it listens.
    pub port_prefix: &'a str,
}

/// Why the driver does not run.
#[derive(Debug, thiserror::Error)]
pub enum DriverExit {
    #[error("the driver {} cannot be started: {error}", program.display())]
    NotStarted { program: PathBuf, error: io::Error },
    #[error("the driver has no output")]
    NoOutput,
    #[error("the driver ended before it listened: {}", describe(.0))]
    BeforeListening(io::Result<ExitStatus>),
    #[error("the driver ended: {}", describe(.0))]
    Exited(io::Result<ExitStatus>),
}

fn describe(status: &io::Result<ExitStatus>) -> String {
    match status {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    }
}

/// Runs the driver until it exits, or until the agent ends: then `None`. `started` runs with its port, beside the process.
pub async fn run<F: Future<Output = ()>>(
    command: DriverCommand<'_>,
    end: &EndLatch,
    started: impl FnOnce(u16) -> F,
) -> Option<DriverExit> {
    let spawned = Command::new(command.program)
        .args(command.arguments)
        .envs(command.environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .process_group(0)
        .kill_on_drop(true)
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => {
            return Some(DriverExit::NotStarted { program: command.program.to_owned(), error });
        }
    };
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
        DRIVER_PID.store(pid, Ordering::Release);
    }
    let exit = tokio::select! {
        exit = watch(&mut child, command.port_prefix, started) => Some(exit),
        () = end.token().cancelled_owned() => None,
    };
    kill(&mut child).await;
    exit
}

/// Waits until the driver exits, and runs `started` when it listens.
async fn watch<F: Future<Output = ()>>(
    child: &mut Child,
    port_prefix: &str,
    started: impl FnOnce(u16) -> F,
) -> DriverExit {
    let Some(stdout) = child.stdout.take() else { return DriverExit::NoOutput };
    let mut output = BufReader::new(stdout);
    let Some(port) = read_port(&mut output, port_prefix).await else {
        return DriverExit::BeforeListening(child.wait().await);
    };
    // Pages write there too, as much as they like: it is read, and thrown away. The browser has this pipe as well, and may
    // outlive its driver, so the end of the pipe means nothing.
    let discard_output = async {
        if let Err(error) = tokio::io::copy(&mut output, &mut tokio::io::sink()).await {
            tracing::debug!(%error, "the driver's output");
        }
        pending().await
    };
    let beside = async { tokio::join!(started(port), discard_output).1 };
    tokio::select! {
        status = child.wait() => DriverExit::Exited(status),
        never = beside => never,
    }
}

async fn read_port(output: &mut BufReader<ChildStdout>, port_prefix: &str) -> Option<u16> {
    let mut lines = output.take(MAX_PREFACE).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        tracing::debug!(line, "driver");
        if let Some((_, rest)) = line.split_once(port_prefix) {
            return rest.trim_end_matches('.').parse().ok();
        }
    }
    None
}

/// Kills the driver and the browsers in its process group. What left the group dies with PID 1.
async fn kill(child: &mut Child) {
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok())
        && let Err(error) = killpg(Pid::from_raw(pid), Signal::SIGKILL)
    {
        tracing::debug!(%error, "killpg");
    }
    if let Err(error) = child.wait().await {
        tracing::debug!(error = &error as &dyn std::error::Error, "wait for the driver");
    }
}
