//! The link between the machine and the node: a pair of virtual interfaces,
//! and routes through it to the pods and the services.

use anyhow::{Context, Result};
use std::fs;
use std::process::Command;
use std::time::Duration;

use crate::plan::Name;
use crate::process::Process;
use crate::steps::{output, wait_for};

/// The link's interface on the node.
const NODE_INTERFACE: &str = "node0";

/// Creates the machine's end of the link.
pub fn create(name: Name, init: Process) -> Result<()> {
    let host = name.host_interface();
    let pid = init.pid.to_string();
    ip(&["link", "add", &host, "type", "veth", "peer", "name", NODE_INTERFACE, "netns", &pid])?;
    let address = format!("{}/30", name.host_address());
    ip(&["address", "add", &address, "dev", &host])?;
    ip(&["link", "set", &host, "up"])?;
    for range in [name.pod_range(), name.service_range()] {
        ip(&[
            "route",
            "replace",
            &range,
            "via",
            &name.node_address(),
            "src",
            &name.host_address(),
        ])?;
    }
    Ok(())
}

/// Configures the node's end as soon as the link exists.
pub fn enter(name: Name) -> Result<()> {
    ip(&["link", "set", "lo", "up"])?;
    wait_for("the link to the machine", Duration::from_secs(20), || {
        ip(&["link", "show", NODE_INTERFACE])
    })?;
    let address = format!("{}/30", name.node_address());
    ip(&["address", "add", &address, "dev", NODE_INTERFACE])?;
    ip(&["link", "set", NODE_INTERFACE, "up"])?;
    for (file, value) in [
        ("/proc/sys/net/ipv4/ip_forward", "1"),
        ("/proc/sys/net/ipv4/conf/all/route_localnet", "0"),
    ] {
        fs::write(file, value).with_context(|| format!("write {file}"))?;
    }
    Ok(())
}

/// Removes the link now; with the node's namespace alone it could take a while.
pub fn remove(name: Name) -> Result<()> {
    if exists(name) {
        let removed = ip(&["link", "delete", &name.host_interface()]);
        if exists(name) {
            return removed;
        }
    }
    Ok(())
}

#[must_use]
pub fn exists(name: Name) -> bool {
    ip(&["link", "show", &name.host_interface()]).is_ok()
}

fn ip(arguments: &[&str]) -> Result<()> {
    output(Command::new("ip").args(arguments))
        .map(drop)
        .with_context(|| format!("ip {}", arguments.join(" ")))
}
