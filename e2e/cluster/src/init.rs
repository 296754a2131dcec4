//! The first process of the cluster's namespaces: it starts the supervisor,
//! reaps whatever is orphaned, and ends with the supervisor. When it ends, the
//! kernel kills every process of the namespace, and mounts and interfaces go too.

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::wait::{WaitStatus, wait};
use std::process::{Command, ExitCode};

use crate::cgroups;
use crate::plan::Name;

/// Returns when the supervisor has ended.
pub fn init(name: Name) -> Result<ExitCode> {
    cgroups::join(name, 0)?;
    let program = std::env::current_exe().context("find this program")?;
    let supervisor = Command::new(program)
        .args(["supervise", "--inner", "--name", name.text()])
        .spawn()
        .context("start the supervisor")?;
    loop {
        match wait() {
            Ok(WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, _, _))
                if pid.as_raw().unsigned_abs() == supervisor.id() =>
            {
                return Ok(ExitCode::FAILURE);
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error).context("wait for a process"),
        }
    }
}
