//! The duty of PID 1: taking the exit status of orphans, which browsers leave by the dozen.

use nix::{
    errno::Errno,
    sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid},
    unistd::getpid,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Reaps whatever is not a child that we started. Does nothing unless this process is PID 1.
pub async fn run(stop: CancellationToken) {
    if getpid().as_raw() != 1 {
        return;
    }
    let mut ended = match signal(SignalKind::child()) {
        Ok(ended) => ended,
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "orphans stay");
            return;
        }
    };
    loop {
        tokio::select! {
            _ = ended.recv() => reap(),
            () = stop.cancelled() => return,
        }
    }
}

/// Our own child is the driver alone, and tokio takes its status; everything else is an orphan. Looks before it
/// takes, so that the driver's status is never stolen.
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
        if crate::driver::is_driver(pid.as_raw()) {
            return;
        }
        if let Err(error) = waitpid(pid, Some(WaitPidFlag::WNOHANG)) {
            tracing::debug!(%error, "waitpid");
            return;
        }
    }
}
