//! The node's processes, where the node runs on this machine.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use nix::{
    errno::Errno,
    sys::signal::{self, Signal},
    unistd::Pid,
};
use tokio::process::Command;

/// Part of every pod's cgroup path.
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

/// A process in a pod whose node is on this machine.
#[derive(Clone, Copy, Debug)]
pub struct Process {
    pid: u32,
}

/// The program of controllers, gateways and agents.
pub const OPERATOR: &str = "browser-operator";

/// What a process was started with.
#[derive(Clone, Debug)]
pub struct CommandLine(Vec<String>);

impl CommandLine {
    fn of(pid: u32) -> Self {
        let command = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        Self(command.split('\0').map(ToOwned::to_owned).collect())
    }

    /// The name of its program.
    #[must_use]
    pub fn program(&self) -> &str {
        let path = self.0.first().map_or("", String::as_str);
        Path::new(path).file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }

    /// Whether it is one that a browser starts for itself.
    #[must_use]
    pub fn is_helper(&self) -> bool {
        self.0.iter().any(|word| word.starts_with("--type=") || word == "-contentproc")
    }
}

/// A process of a pod, by what it was started with; `None` where it is not on this machine.
#[must_use]
pub fn find_in_pod(uid: &str, is_it: impl Fn(&CommandLine) -> bool) -> Option<Process> {
    let mut pids = processes_of_pod(uid).into_keys();
    pids.find(|pid| is_it(&CommandLine::of(*pid))).map(|pid| Process { pid })
}

/// The process of a pod that runs the program of that name, and is none of a browser's helpers; `None` where it is not on
/// this machine.
#[must_use]
pub fn process_of_pod(uid: &str, program: &str) -> Option<Process> {
    find_in_pod(uid, |command| command.program() == program && !command.is_helper())
}

/// Whether the processes of a pod are on this machine.
#[must_use]
pub fn is_here(uid: &str) -> bool {
    !processes_of_pod(uid).is_empty()
}

impl Process {
    /// Where the kernel tells of it (proc(5)).
    #[must_use]
    pub fn file(self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}", self.pid)).join(name)
    }

    fn read(self, name: &str) -> Result<String> {
        let file = self.file(name);
        fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))
    }

    #[must_use]
    pub fn id(self) -> u32 {
        self.pid
    }

    /// Sends a signal; returns whether the process still existed.
    pub fn signal(self, signal: Signal) -> Result<bool> {
        match signal::kill(Pid::from_raw(self.pid.cast_signed()), signal) {
            Ok(()) => Ok(true),
            // It was faster.
            Err(Errno::ESRCH) => Ok(false),
            Err(error) => Err(error).with_context(|| format!("{signal} to process {}", self.pid)),
        }
    }

    /// Its memory now, in bytes.
    pub fn memory(self) -> Result<u64> {
        self.status("VmRSS")
    }

    /// The most memory it had, in bytes, since its start or the last [`Self::forget_most_memory`].
    pub fn most_memory(self) -> Result<u64> {
        self.status("VmHWM")
    }

    /// Resets the peak of its memory to the present value.
    pub fn forget_most_memory(self) -> Result<()> {
        // proc_pid_clear_refs(5).
        let file = self.file("clear_refs");
        fs::write(&file, "5").with_context(|| format!("write {}", file.display()))
    }

    fn status(self, name: &str) -> Result<u64> {
        let status = self.read("status")?;
        let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let kib = value.and_then(|value| value.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        Ok(kib.with_context(|| format!("process {} has no {name}", self.pid))? << 10)
    }

    /// A command that runs in the network namespace of its pod.
    #[must_use]
    pub fn beside(self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.pid.to_string(), "--net", program]);
        command
    }

    /// Gives another process the same share of the processor that this one's container has.
    pub fn share_with(self, pid: u32) -> Result<()> {
        let groups = self.read("cgroup")?;
        let of = |wanted: &str| {
            groups.lines().find_map(|line| {
                let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
                controllers.split(',').any(|name| name == wanted).then_some((controllers, path))
            })
        };
        // A hierarchy of its own in version 1, the one without a name in version 2.
        let (controllers, path) = of("cpu").or_else(|| of("")).context("no group of processes")?;
        let group = format!("/sys/fs/cgroup/{controllers}{path}/cgroup.procs");
        fs::write(&group, pid.to_string()).with_context(|| format!("write {group}"))
    }
}
