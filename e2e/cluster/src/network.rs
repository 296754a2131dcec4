//! The link between the machine and the node: a pair of virtual interfaces,
//! and routes through it to the pods and the services.

use anyhow::{Context, Result};
use std::fs;
use std::process::Command;
use std::time::Duration;

use crate::addresses::{Addresses, Plan};
use crate::plan::Name;
use crate::process::Process;
use crate::steps::{output, wait_for};

/// The link's interface on the node.
const NODE_INTERFACE: &str = "node0";

/// What goes from pod to pod over their bridge is filtered like everything else.
const BRIDGE_FILTER: [(&str, &str); 2] = [
    ("/proc/sys/net/bridge/bridge-nf-call-iptables", "1"),
    ("/proc/sys/net/bridge/bridge-nf-call-ip6tables", "1"),
];

/// Creates the machine's end of the link.
pub fn create(plan: Plan, init: Process) -> Result<()> {
    let host = plan.name.host_interface();
    let pid = init.pid.to_string();
    ip(&["link", "add", &host, "type", "veth", "peer", "name", NODE_INTERFACE, "netns", &pid])?;
    for addresses in plan.addresses() {
        add_address(addresses, &addresses.host(), &host)?;
    }
    ip(&["link", "set", &host, "up"])?;
    for addresses in plan.addresses() {
        for range in [addresses.pod_range(), addresses.service_range()] {
            let (node, host) = (addresses.node(), addresses.host());
            ip(&["route", "replace", &range, "via", &node, "src", &host])?;
        }
    }
    Ok(())
}

/// Configures the node's end as soon as the link exists.
pub fn enter(plan: Plan) -> Result<()> {
    ip(&["link", "set", "lo", "up"])?;
    wait_for("the link to the machine", Duration::from_secs(20), || {
        ip(&["link", "show", NODE_INTERFACE])
    })?;
    for addresses in plan.addresses() {
        add_address(addresses, &addresses.node(), NODE_INTERFACE)?;
    }
    ip(&["link", "set", NODE_INTERFACE, "up"])?;
    let of_v6 = plan.addresses().iter().any(|addresses| addresses.is_v6());
    for (file, value) in [
        ("/proc/sys/net/ipv4/ip_forward", "1"),
        ("/proc/sys/net/ipv4/conf/all/route_localnet", "0"),
    ]
    .into_iter()
    .chain(of_v6.then_some(("/proc/sys/net/ipv6/conf/all/forwarding", "1")))
    .chain(plan.network_policy.then_some(BRIDGE_FILTER).into_iter().flatten())
    {
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

/// Without IPv6's look for duplicates, which takes a second: both ends are ours.
fn add_address(addresses: Addresses, address: &str, interface: &str) -> Result<()> {
    let address = addresses.on_link(address);
    let mut arguments = vec!["address", "add", &address, "dev", interface];
    if addresses.is_v6() {
        arguments.push("nodad");
    }
    ip(&arguments)
}

fn ip(arguments: &[&str]) -> Result<()> {
    output(Command::new("ip").args(arguments))
        .map(drop)
        .with_context(|| format!("ip {}", arguments.join(" ")))
}
