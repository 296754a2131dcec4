//! The node's processes, where the node runs on this machine.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

/// What stands in every pod's cgroup, behind what is the node's own.
const PODS: &str = "kubepods";

/// Process ids and their cgroups, of every process in a pod of any node that this machine can see.
fn processes_in_pods() -> BTreeMap<u32, String> {
    let Ok(processes) = fs::read_dir("/proc") else { return BTreeMap::new() };
    processes
        .filter_map(|entry| {
            let pid = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let cgroups = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
            let cgroup = cgroups.lines().find(|line| line.contains(PODS))?;
            // The systemd driver writes a uid with underscores.
            Some((pid, cgroup.replace('_', "-")))
        })
        .collect()
}

/// The processes of a pod; none where its node is not on this machine.
fn processes_of_pod(uid: &str) -> BTreeMap<u32, String> {
    let mut processes = processes_in_pods();
    processes.retain(|_, cgroup| cgroup.contains(uid));
    processes
}

/// Processes in pods that the API server does not have, on the node of the pod `uid`: their cgroups and command
/// lines. `None` where that node is not on this machine. `pods` are the uids that the API server has.
#[must_use]
pub fn processes_without_pod(uid: &str, pods: &BTreeSet<String>) -> Option<Vec<String>> {
    let own = processes_of_pod(uid);
    // Other clusters may have their nodes here as well.
    let node = own.values().next()?.split(PODS).next()?.to_owned();
    let orphans = processes_in_pods()
        .into_iter()
        .filter(|(_, cgroup)| cgroup.starts_with(&node))
        .filter(|(_, cgroup)| !pods.iter().any(|uid| cgroup.contains(uid.as_str())))
        .filter_map(|(pid, cgroup)| {
            let command = fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
            Some(format!("{pid} {cgroup} {}", command.replace('\0', " ")))
        });
    Some(orphans.collect())
}

/// How many files and sockets the processes of a pod have open; `None` where they are not on this machine.
#[must_use]
pub fn open_files_of_pod(uid: &str) -> Option<usize> {
    let processes = processes_of_pod(uid);
    let folders = processes.keys().filter_map(|pid| fs::read_dir(format!("/proc/{pid}/fd")).ok());
    (!processes.is_empty()).then(|| folders.map(Iterator::count).sum())
}

/// How many connections to that port of others are open in a pod's network; `None` where it is not on this machine.
#[must_use]
pub fn connections_of_pod(uid: &str, port: u16) -> Option<usize> {
    const ESTABLISHED: &str = "01";
    let remote = format!(":{port:04X}");
    let pid = processes_of_pod(uid).into_keys().next()?;
    let tables =
        ["tcp", "tcp6"].map(|table| fs::read_to_string(format!("/proc/{pid}/net/{table}")));
    let lines = tables.iter().flatten().flat_map(|table| table.lines());
    let connected = lines.filter(|line| {
        let mut words = line.split_whitespace().skip(2);
        words.next().is_some_and(|address| address.ends_with(&remote))
            && words.next() == Some(ESTABLISHED)
    });
    Some(connected.count())
}
