//! The driver's process: started, watched, and ended with its agent.

use std::{future::pending, path::Path, process::Stdio, sync::atomic::Ordering};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, ChildStdout, Command},
};

use super::DRIVER_PID;
use crate::ending::Ending;

/// Runs the driver on a port of its own choice, which it `says` behind these words, until it exits or the agent ends.
/// `started` is run with the port, beside the process. Gives the reason of the driver's exit, for people.
pub async fn run<F: Future<Output = ()>>(
    program: &Path,
    arguments: &[String],
    environment: &[(&str, &str)],
    says: &str,
    ending: &Ending,
    started: impl FnOnce(u16) -> F,
) -> String {
    let spawned = Command::new(program)
        .args(arguments)
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .process_group(0)
        .kill_on_drop(true)
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => {
            return format!("the driver {} cannot be started: {error}", program.display());
        }
    };
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
        DRIVER_PID.store(pid, Ordering::Release);
    }
    let message = tokio::select! {
        message = attend(&mut child, says, started) => message,
        () = ending.begun().cancelled_owned() => String::new(),
    };
    end(&mut child).await;
    message
}

async fn attend<F: Future<Output = ()>>(
    child: &mut Child,
    says: &str,
    started: impl FnOnce(u16) -> F,
) -> String {
    let Some(stdout) = child.stdout.take() else {
        return "the driver has no output".to_owned();
    };
    let mut output = BufReader::new(stdout);
    let Some(port) = port(&mut output, says).await else {
        return format!("the driver ended before it listened: {}", status(child).await);
    };
    let starting = started(port);
    // Pages write there too, as much as they like: it is read, and thrown away. The browser has this pipe as well, and may
    // outlive its driver: its end says nothing of that.
    let reading = async {
        let mut nowhere = tokio::io::sink();
        if let Err(error) = tokio::io::copy(&mut output, &mut nowhere).await {
            tracing::debug!(%error, "the driver's output");
        }
        pending::<()>().await;
    };
    let beside = async { tokio::join!(starting, reading) };
    let ended = status(child);
    tokio::select! {
        status = ended => format!("the driver ended: {status}"),
        _ = beside => String::new(),
    }
}

/// What the driver may say before its port, in bytes.
const MAX_PREFACE: u64 = 64 * 1024;

async fn port(output: &mut BufReader<ChildStdout>, says: &str) -> Option<u16> {
    let mut lines = output.take(MAX_PREFACE).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        tracing::debug!(line, "driver");
        if let Some((_, rest)) = line.split_once(says) {
            return rest.trim_end_matches('.').parse().ok();
        }
    }
    None
}

async fn status(child: &mut Child) -> String {
    match child.wait().await {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    }
}

/// Ends the driver and the browsers in its group. What left the group dies with PID 1.
async fn end(child: &mut Child) {
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok())
        && let Err(error) = killpg(Pid::from_raw(pid), Signal::SIGKILL)
    {
        tracing::debug!(%error, "killpg");
    }
    if let Err(error) = child.wait().await {
        tracing::debug!(error = &error as &dyn std::error::Error, "wait for the driver");
    }
}
