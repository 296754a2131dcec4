//! What a pod knows of its neighbours' link addresses, on a node whose pods share a bridge.

use std::{fs, net::Ipv4Addr, process::Stdio};

use anyhow::{Context, Result, ensure};
use tokio::io::AsyncWriteExt;

use crate::local::Process;

/// A MAC address that nobody has.
const NOBODY: &str = "02:00:00:00:00:01";

/// Has a process's pod remember addresses as those of a pod that is gone, but for those that it knows.
pub async fn remember_as_gone(process: Process, addresses: &[Ipv4Addr]) -> Result<()> {
    let line =
        |address: &Ipv4Addr| format!("neigh add {address} lladdr {NOBODY} dev eth0 nud stale\n");
    // Whatever was heard within the last second is not believed; so is what is remembered here (arp(7), locktime).
    inside(process, "echo 0 > /proc/sys/net/ipv4/neigh/eth0/locktime", "").await?;
    ip(process, &addresses.iter().map(line).collect::<String>()).await?;
    ensure!(
        addresses.iter().any(|address| is_thought_gone(process, *address)),
        "nothing was remembered"
    );
    Ok(())
}

/// Undoes [`remember_as_gone`].
pub async fn forget_those_gone(process: Process, addresses: &[Ipv4Addr]) -> Result<()> {
    let gone = addresses.iter().filter(|address| is_thought_gone(process, **address));
    let lines: String = gone.map(|address| format!("neigh del {address} dev eth0\n")).collect();
    ip(process, &lines).await?;
    // What it is unless somebody changes it.
    inside(process, "echo 100 > /proc/sys/net/ipv4/neigh/eth0/locktime", "").await
}

/// Whether an address is remembered as that of a pod that is gone.
#[must_use]
pub fn is_thought_gone(process: Process, address: Ipv4Addr) -> bool {
    let table = fs::read_to_string(process.file("net/arp")).unwrap_or_default();
    let address = address.to_string();
    table
        .lines()
        .any(|line| line.split_whitespace().next() == Some(&address) && line.contains(NOBODY))
}

/// Each line is a command of its own: what some refuse says nothing of the others.
async fn ip(process: Process, lines: &str) -> Result<()> {
    inside(process, "ip -force -batch - 2> /dev/null || true", lines).await
}

async fn inside(process: Process, script: &str, input: &str) -> Result<()> {
    let mut command = process.beside("sh");
    command.args(["-c", script]).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    let mut child = command.stdin(Stdio::piped()).spawn().context("start nsenter")?;
    let mut stdin = child.stdin.take().context("its input")?;
    stdin.write_all(input.as_bytes()).await.context("tell it")?;
    drop(stdin);
    let status = child.wait().await.context("wait for nsenter")?;
    ensure!(status.success(), "{script}: {status}");
    Ok(())
}
