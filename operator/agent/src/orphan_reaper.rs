//! The duty of PID 1: reaping orphans, which browsers leave by the dozen.

use nix::{
    errno::Errno,
    sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid},
    unistd::getpid,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::driver;

/// Reaps every process that the agent did not start. Does nothing unless the agent is PID 1.
pub async fn run(stop: CancellationToken) {
    if getpid().as_raw() != 1 {
        return;
    }
    let mut child_signals = match signal(SignalKind::child()) {
        Ok(signals) => signals,
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "orphans stay");
            return;
        }
    };
    loop {
        tokio::select! {
            _ = child_signals.recv() => reap(),
            () = stop.cancelled() => return,
        }
    }
}

/// The agent's only child is the driver, whose status tokio takes; everything else is an orphan. The process is looked at
/// before it is reaped (`WNOWAIT`), so that the driver's status is never stolen.
fn reap() {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    loop {
        let pid = match waitid(Id::All, flags) {
            Ok(WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, _, _)) => pid,
            Ok(_) | Err(Errno::ECHILD) => return,
            Err(error) => {
                tracing::debug!(%error, "waitid");
                return;
            }
        };
        if driver::process::is_driver(pid.as_raw()) {
            return;
        }
        if let Err(error) = waitpid(pid, Some(WaitPidFlag::WNOHANG)) {
            tracing::debug!(%error, "waitpid");
            return;
        }
    }
}
