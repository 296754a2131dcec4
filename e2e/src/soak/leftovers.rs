//! Checks that sessions leave nothing behind on a node and in the operator.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt, api::ListParams};

use super::observer::BrowserPod;
use crate::{Cluster, local::processes_without_pod, operator, wait::eventually};

/// For a closed tunnel to be noticed.
const TUNNEL_TIMEOUT: Duration = Duration::from_secs(10);
/// For the kubelet and containerd to clean up.
const CLEANUP_TIMEOUT: Duration = Duration::from_secs(45);
/// Where an agent listens.
const AGENT_PORT: u16 = 4444;

/// Checks that gateways carry no socket.
pub async fn no_tunnels(cluster: &Cluster) -> Result<()> {
    eventually(TUNNEL_TIMEOUT, async || {
        let tunnels =
            operator::metric(cluster, "gateway", "browser_operator_gateway_tunnels").await?;
        ensure!(tunnels == 0.0, "{tunnels} tunnels are open");
        Ok(())
    })
    .await
}

pub async fn operator_pods(cluster: &Cluster) -> Result<Vec<Pod>> {
    let mut pods = operator::pods(cluster, "controller").await?;
    pods.extend(operator::pods(cluster, "gateway").await?);
    Ok(pods)
}

/// Checks that the node runs no process of a pod that is gone. Gives whether that could be seen from this machine.
pub async fn no_processes_without_pod(cluster: &Cluster) -> Result<bool> {
    let operator = operator_pods(cluster).await?;
    let operator = operator.first().and_then(Pod::uid).context("an operator")?;
    eventually(CLEANUP_TIMEOUT, async || {
        let pods = Api::<Pod>::all(cluster.client.clone()).list(&ListParams::default()).await?;
        let pods = pods.items.iter().filter_map(Pod::uid).collect();
        let orphans = processes_without_pod(&operator, &pods);
        ensure!(orphans.iter().all(Vec::is_empty), "processes without a pod: {orphans:#?}");
        Ok(orphans.is_some())
    })
    .await
}

/// Checks that nothing is left of these browser pods, as far as it can be seen from this machine.
pub async fn none(cluster: &Cluster, pods: &BTreeMap<String, BrowserPod>) -> Result<()> {
    no_tunnels(cluster).await?;
    if !no_processes_without_pod(cluster).await? {
        println!("left out: the node's processes are not on this machine");
        return Ok(());
    }
    eventually(CLEANUP_TIMEOUT, async || {
        let left = [
            processes(pods),
            groups(pods),
            mounts(pods),
            networks(),
            sockets(cluster, pods).await?,
        ];
        let left: Vec<String> = left.into_iter().flatten().collect();
        ensure!(left.is_empty(), "left of pods that are gone: {left:#?}");
        Ok(())
    })
    .await
}

/// The numbers of all processes.
fn numbers() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// Processes in the pods' cgroups.
fn processes(pods: &BTreeMap<String, BrowserPod>) -> Vec<String> {
    let of_pod = |pid: u32| {
        let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?.replace('_', "-");
        let uid = groups.split(['/', '\n']).find_map(|part| pods.get_key_value(uid_in(part)?))?.0;
        Some(format!("process {pid} of pod {uid}"))
    };
    numbers().filter_map(of_pod).collect()
}

/// The uid that the name of a pod's cgroup ends with.
fn uid_in(name: &str) -> Option<&str> {
    const LENGTH: usize = 36;
    let name = name.strip_suffix(".slice").unwrap_or(name);
    let (before, uid) = name.split_at_checked(name.len().checked_sub(LENGTH)?)?;
    before.ends_with("pod").then_some(uid)
}

/// The pods' cgroups.
fn groups(pods: &BTreeMap<String, BrowserPod>) -> Vec<String> {
    let mut left = Vec::new();
    let mut folders = vec![Path::new("/sys/fs/cgroup").to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            let name = entry.file_name().to_string_lossy().replace('_', "-");
            if uid_in(&name).is_some_and(|uid| pods.contains_key(uid)) {
                left.push(format!("cgroup {}", entry.path().display()));
            } else {
                folders.push(entry.path());
            }
        }
    }
    left
}

/// The mounts of every mount namespace, each with what it is a mount of.
fn all_mounts() -> Vec<String> {
    let mut seen = HashSet::new();
    let of = |pid: u32| {
        let namespace = fs::read_link(format!("/proc/{pid}/ns/mnt")).ok()?;
        let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo")).ok()?;
        seen.insert(namespace).then_some(mounts)
    };
    let all: BTreeSet<String> = numbers()
        .filter_map(of)
        .flat_map(|text| text.lines().map(place).collect::<Vec<_>>())
        .collect();
    all.into_iter().collect()
}

/// A mount's source and target (proc_pid_mountinfo(5): the fourth and fifth field).
fn place(line: &str) -> String {
    line.split(' ').skip(3).take(2).collect::<Vec<_>>().join(" ")
}

/// Volumes of the pods and roots of their containers.
fn mounts(pods: &BTreeMap<String, BrowserPod>) -> Vec<String> {
    let containers: HashSet<&str> =
        pods.values().flat_map(|pod| pod.containers.iter().map(String::as_str)).collect();
    let is_left = |mount: &String| {
        let mut parts = mount.split(['/', ' ']);
        parts.any(|part| pods.contains_key(part) || containers.contains(part))
    };
    let left = all_mounts().into_iter().filter(is_left);
    left.map(|mount| format!("mount {mount}")).collect()
}

/// Networks of pods in which no process is: nsfs shows them as `net:[number]`.
fn networks() -> Vec<String> {
    let used = |pid: u32| fs::read_link(format!("/proc/{pid}/ns/net")).ok();
    let used: HashSet<String> =
        numbers().filter_map(used).map(|link| link.to_string_lossy().into_owned()).collect();
    let left = all_mounts().into_iter().filter(|mount| {
        let (source, target) = mount.split_once(' ').unwrap_or_default();
        // Where CNI keeps them.
        target.contains("/netns/cni-") && source.starts_with("net:[") && !used.contains(source)
    });
    left.map(|mount| format!("network {mount}")).collect()
}

/// The operator's connections to agents that are gone.
async fn sockets(cluster: &Cluster, gone: &BTreeMap<String, BrowserPod>) -> Result<Vec<String>> {
    let listed = Api::<Pod>::all(cluster.client.clone()).list(&ListParams::default()).await?;
    let live: HashSet<String> =
        listed.items.into_iter().filter_map(|pod| pod.status?.pod_ip).collect();
    let gone = gone.values().filter_map(|pod| pod.ip.as_ref()).filter(|ip| !live.contains(*ip));
    let gone: HashSet<IpAddr> = gone.filter_map(|ip| ip.parse().ok()).collect();
    let mut left = Vec::new();
    for pod in operator_pods(cluster).await? {
        let uid = pod.uid().unwrap_or_default();
        let in_pod = |pid: &u32| {
            let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
            groups.replace('_', "-").contains(&uid)
        };
        let Some(pid) = numbers().find(in_pod) else { continue };
        let peers = ["tcp", "tcp6"].into_iter().flat_map(|table| peers(pid, table));
        let dead = peers.filter(|(ip, port)| *port == AGENT_PORT && gone.contains(ip));
        left.extend(dead.map(|(ip, _)| format!("a socket of {} to {ip}", pod.name_any())));
    }
    Ok(left)
}

/// The other ends of the connections in a process's network that are open, or that this end has not closed.
fn peers(pid: u32, table: &str) -> Vec<(IpAddr, u16)> {
    const ESTABLISHED: &str = "01";
    const CLOSE_WAIT: &str = "08";
    let text = fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
    let open = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace().skip(2);
        let (peer, state) = (words.next()?, words.next()?);
        matches!(state, ESTABLISHED | CLOSE_WAIT).then(|| address(peer))?
    });
    open.collect()
}

/// An address of proc_pid_net(5): words of the machine's own byte order, in hexadecimal, and the port.
fn address(text: &str) -> Option<(IpAddr, u16)> {
    let (ip, port) = text.split_once(':')?;
    let words = ip.as_bytes().chunks(8).map(|word| {
        let word = std::str::from_utf8(word).ok()?;
        Some(u32::from_str_radix(word, 16).ok()?.to_ne_bytes())
    });
    let bytes: Vec<u8> = words.collect::<Option<Vec<_>>>()?.concat();
    let ip = match (<[u8; 4]>::try_from(&bytes[..]), <[u8; 16]>::try_from(&bytes[..])) {
        (Ok(bytes), _) => IpAddr::V4(Ipv4Addr::from(bytes)),
        (_, Ok(bytes)) => IpAddr::V6(Ipv6Addr::from(bytes)).to_canonical(),
        _ => return None,
    };
    Some((ip, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cgroup_has_its_pods_uid() {
        const UID: &str = "998b12e6-790f-4c45-8993-a8e29abc6ce4";
        for (name, expected) in [
            (format!("pod{UID}"), Some(UID)),
            (format!("kubepods-burstable-pod{UID}.slice"), Some(UID)),
            (UID.to_owned(), None),
            ("kubepods".to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(uid_in(&name), expected, "{name}");
        }
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn addresses_are_read_as_the_kernel_writes_them() {
        for (text, expected) in [
            ("0100007F:115C", Some(("127.0.0.1", 4444))),
            ("0000000000000000FFFF00000201F50A:115C", Some(("10.245.1.2", 4444))),
            ("00000000000000000000000001000000:0050", Some(("::1", 80))),
            ("", None),
        ] {
            let expected = expected.map(|(ip, port)| (ip.parse::<IpAddr>().unwrap(), port));
            assert_eq!(address(text), expected, "{text}");
        }
    }
}
