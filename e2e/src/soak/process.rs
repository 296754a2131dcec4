//! The processes of pods, where their node is this machine: to be killed.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::plan::Harm;

/// The program of controllers, gateways and agents.
pub const OPERATOR: &str = "browser-operator";

/// A process of a pod.
struct Process {
    pid: i32,
    words: Vec<String>,
}

impl Process {
    fn read(pid: i32) -> Option<Self> {
        let command = fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
        Some(Self { pid, words: command.split('\0').map(ToOwned::to_owned).collect() })
    }

    fn program(&self) -> &str {
        let path = self.words.first().map_or("", String::as_str);
        Path::new(path).file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }

    /// Whether it is one that a browser starts for itself.
    fn is_helper(&self) -> bool {
        self.words.iter().any(|word| word.starts_with("--type=") || word == "-contentproc")
    }
}

/// The process ids of a pod.
fn of_pod(uid: &str) -> impl Iterator<Item = Process> {
    let in_it = move |pid: &i32| {
        let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        // The systemd driver writes a uid with underscores.
        groups.replace('_', "-").contains(uid)
    };
    let processes = fs::read_dir("/proc").into_iter().flatten();
    let pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(in_it).filter_map(Process::read)
}

/// Kills what that harm is done to, in the pod of that uid. Gives whether there was such a process.
///
/// # Errors
/// This process may not.
pub fn harm(uid: &str, harm: Harm) -> Result<bool> {
    kill_one(uid, |process| match harm {
        Harm::Agent => process.program() == OPERATOR,
        Harm::Driver => process.program().ends_with("driver"),
        Harm::Browser => {
            matches!(process.program(), "chromium" | "firefox-esr" | "firefox")
                && !process.is_helper()
        }
        Harm::Pod | Harm::Eviction => false,
    })
}

/// Kills the operator's process in one of its pods. Gives whether there was one.
///
/// # Errors
/// This process may not.
pub fn kill_operator(uid: &str) -> Result<bool> {
    kill_one(uid, |process| process.program() == OPERATOR)
}

/// Whether the processes of the pod of that uid are on this machine.
#[must_use]
pub fn is_here(uid: &str) -> bool {
    of_pod(uid).next().is_some()
}

fn kill_one(uid: &str, is_it: impl Fn(&Process) -> bool) -> Result<bool> {
    let Some(process) = of_pod(uid).find(is_it) else { return Ok(false) };
    match kill(Pid::from_raw(process.pid), Signal::SIGKILL) {
        Ok(()) => Ok(true),
        // It was faster.
        Err(nix::errno::Errno::ESRCH) => Ok(false),
        Err(error) => Err(error).with_context(|| format!("kill {}", process.program())),
    }
}
