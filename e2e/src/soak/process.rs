//! Kills processes of pods whose node is this machine.

use anyhow::Result;
use nix::sys::signal::Signal;

use super::plan::Fault;
use crate::local::{CommandLine, OPERATOR, find_in_pod};

/// Kills the fault's process in a pod. Returns whether there was such a process.
pub fn harm(uid: &str, fault: Fault) -> Result<bool> {
    kill_one(uid, |command| match fault {
        Fault::Agent => command.program() == OPERATOR,
        Fault::Driver => command.program().ends_with("driver"),
        Fault::Browser => {
            matches!(command.program(), "chromium" | "firefox-esr" | "firefox")
                && !command.is_helper()
        }
        Fault::Pod | Fault::Eviction => false,
    })
}

/// Kills the operator's process in one of its pods. Returns whether there was one.
pub fn kill_operator(uid: &str) -> Result<bool> {
    kill_one(uid, |command| command.program() == OPERATOR)
}

fn kill_one(uid: &str, is_it: impl Fn(&CommandLine) -> bool) -> Result<bool> {
    find_in_pod(uid, is_it).map_or(Ok(false), |process| process.signal(Signal::SIGKILL))
}
