//! What a pod knows of its neighbours' link addresses, on a node whose pods share a bridge.

use std::{
    fs,
    io::Write,
    net::Ipv4Addr,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};

use crate::local::Process;

/// The link address of nobody.
const NOBODY: &str = "02:00:00:00:00:01";

/// Has a process's pod remember addresses as those of a pod that is gone, but for those that it knows.
///
/// # Errors
/// This process may not.
pub fn remember_as_gone(process: &Process, addresses: &[Ipv4Addr]) -> Result<()> {
    let line =
        |address: &Ipv4Addr| format!("neigh add {address} lladdr {NOBODY} dev eth0 nud stale\n");
    // Whatever was heard within the last second is not believed; so is what is remembered here (arp(7), locktime).
    inside(process, "echo 0 > /proc/sys/net/ipv4/neigh/eth0/locktime", "")?;
    ip(process, &addresses.iter().map(line).collect::<String>())?;
    ensure!(
        addresses.iter().any(|address| is_thought_gone(process, *address)),
        "nothing was remembered"
    );
    Ok(())
}

/// Undoes it.
///
/// # Errors
/// This process may not.
pub fn forget_those_gone(process: &Process, addresses: &[Ipv4Addr]) -> Result<()> {
    let gone = addresses.iter().filter(|address| is_thought_gone(process, **address));
    let lines: String = gone.map(|address| format!("neigh del {address} dev eth0\n")).collect();
    ip(process, &lines)?;
    // What it is unless somebody changes it.
    inside(process, "echo 100 > /proc/sys/net/ipv4/neigh/eth0/locktime", "")
}

/// Whether an address is remembered as that of a pod that is gone.
#[must_use]
pub fn is_thought_gone(process: &Process, address: Ipv4Addr) -> bool {
    let table = fs::read_to_string(process.file("net/arp")).unwrap_or_default();
    let address = address.to_string();
    table
        .lines()
        .any(|line| line.split_whitespace().next() == Some(&address) && line.contains(NOBODY))
}

/// Each line is a command of its own: what some refuse says nothing of the others.
fn ip(process: &Process, lines: &str) -> Result<()> {
    inside(process, "ip -force -batch - 2> /dev/null || true", lines)
}

fn inside(process: &Process, script: &str, input: &str) -> Result<()> {
    let network = format!("--net={}", process.file("ns/net").display());
    let mut command = Command::new("nsenter");
    command.args([&network, "sh", "-c", script]).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    let mut child = command.stdin(Stdio::piped()).spawn().context("start nsenter")?;
    child.stdin.take().context("its input")?.write_all(input.as_bytes()).context("tell it")?;
    let status = child.wait().context("wait for nsenter")?;
    ensure!(status.success(), "{script}: {status}");
    Ok(())
}
