//! The driver's process: started, watched, and ended with its agent.

use std::{path::Path, process::Stdio, sync::atomic::Ordering};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use super::DRIVER_PID;
use crate::ending::Ending;

/// Runs the driver on a port of its own choice, which it `says` behind these words, until it exits or the agent ends.
/// `started` is run with the port, beside the process. Gives the reason of the driver's exit, for people.
pub async fn run<F: Future<Output = ()>>(
    program: &Path,
    arguments: &[String],
    says: &str,
    ending: &Ending,
    started: impl FnOnce(u16) -> F,
) -> String {
    let spawned = Command::new(program)
        .args(arguments)
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
    let mut lines = BufReader::new(stdout).lines();
    let Some(port) = port(&mut lines, says).await else {
        return format!("the driver ended before it listened: {}", status(child).await);
    };
    let mut started = std::pin::pin!(started(port));
    let mut is_starting = true;
    loop {
        tokio::select! {
            () = &mut started, if is_starting => is_starting = false,
            line = lines.next_line() => match line {
                Ok(Some(line)) => tracing::debug!(line, "driver"),
                Ok(None) | Err(_) => break,
            },
        }
    }
    format!("the driver ended: {}", status(child).await)
}

async fn port(lines: &mut Lines<BufReader<ChildStdout>>, says: &str) -> Option<u16> {
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
