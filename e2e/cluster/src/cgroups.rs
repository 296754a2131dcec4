//! The cluster's own cgroups: `<name>/node` holds the components, `<name>/pods`
//! the pods; in every hierarchy of version 1, or in the one of version 2.

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::Instant;

use crate::plan::Name;

const TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Clone, Debug, Eq, PartialEq)]
struct Hierarchy {
    mount: PathBuf,
    unified: bool,
}

pub fn create(name: Name) -> Result<()> {
    for hierarchy in hierarchies()? {
        let own = hierarchy.mount.join(name.cgroup());
        for part in ["node", "pods"] {
            let group = own.join(part);
            fs::create_dir_all(&group).with_context(|| format!("make {}", group.display()))?;
        }
        if hierarchy.unified {
            delegate(&hierarchy.mount, &own);
        } else {
            inherit_cpuset(&own)?;
        }
    }
    Ok(())
}

/// Moves a process into `<name>/node`; 0 is the caller itself.
pub fn join(name: Name, pid: i32) -> Result<()> {
    for hierarchy in hierarchies()? {
        let file = hierarchy.mount.join(name.cgroup()).join("node/cgroup.procs");
        fs::write(&file, pid.to_string()).with_context(|| format!("write {}", file.display()))?;
    }
    Ok(())
}

/// Kills what is left in the groups and removes them.
pub fn remove(name: Name) -> Result<()> {
    let roots: Vec<PathBuf> = hierarchies()?
        .into_iter()
        .map(|hierarchy| hierarchy.mount.join(name.cgroup()))
        .filter(|root| root.exists())
        .collect();
    let start = Instant::now();
    loop {
        for root in &roots {
            for pid in processes(root) {
                // It may exit by itself in between.
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
        let left: Vec<&PathBuf> = roots.iter().filter(|root| !remove_tree(root)).collect();
        if left.is_empty() {
            return Ok(());
        }
        if start.elapsed() > TIMEOUT {
            let held: Vec<i32> = left.iter().flat_map(|root| processes(root)).collect();
            bail!("cgroups {left:?} can't be removed; processes in them: {held:?}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub fn existing(name: Name) -> Result<Vec<PathBuf>> {
    Ok(hierarchies()?
        .into_iter()
        .map(|hierarchy| hierarchy.mount.join(name.cgroup()))
        .filter(|root| root.exists())
        .collect())
}

fn hierarchies() -> Result<Vec<Hierarchy>> {
    let text = fs::read_to_string("/proc/self/mountinfo").context("read /proc/self/mountinfo")?;
    let found = parse(&text);
    if found.is_empty() {
        bail!("no cgroup hierarchy is mounted");
    }
    Ok(found)
}

/// The cgroup mounts of a mountinfo. Beside version 1, version 2 has no controllers of use.
fn parse(mountinfo: &str) -> Vec<Hierarchy> {
    let mut found: Vec<Hierarchy> = Vec::new();
    for line in mountinfo.lines() {
        let Some((left, right)) = line.split_once(" - ") else {
            continue;
        };
        let kind = right.split(' ').next().unwrap_or_default();
        if kind != "cgroup" && kind != "cgroup2" {
            continue;
        }
        let mut fields = left.split(' ').skip(3);
        let (Some(root), Some(mount)) = (fields.next(), fields.next()) else {
            continue;
        };
        let hierarchy = Hierarchy { mount: PathBuf::from(mount), unified: kind == "cgroup2" };
        if root == "/" && !found.contains(&hierarchy) {
            found.push(hierarchy);
        }
    }
    found
}

/// Hands every controller down to the pods. What the kernel refuses it can't give; the kubelet will say which it misses.
fn delegate(mount: &Path, own: &Path) {
    for group in [mount, own, &own.join("pods")] {
        let controllers = fs::read_to_string(group.join("cgroup.controllers")).unwrap_or_default();
        for controller in controllers.split_whitespace() {
            let _ = fs::write(group.join("cgroup.subtree_control"), format!("+{controller}"));
        }
    }
}

/// A new cpuset of version 1 has no processors and takes no process until it is given some.
fn inherit_cpuset(own: &Path) -> Result<()> {
    for group in [own.to_path_buf(), own.join("node"), own.join("pods")] {
        for file in ["cpuset.cpus", "cpuset.mems"] {
            let target = group.join(file);
            let Some(source) = group.parent().map(|parent| parent.join(file)) else {
                continue;
            };
            if target.exists() && source.exists() {
                let value = fs::read_to_string(&source)
                    .with_context(|| format!("read {}", source.display()))?;
                fs::write(&target, value.trim())
                    .with_context(|| format!("write {}", target.display()))?;
            }
        }
    }
    Ok(())
}

fn children(group: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(group).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

fn processes(group: &Path) -> Vec<i32> {
    let own = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    let mut pids: Vec<i32> = own.lines().filter_map(|line| line.parse().ok()).collect();
    // 0 is a process of another namespace, and kill(0) would mean the caller's own group.
    pids.retain(|pid| *pid > 0);
    for child in children(group) {
        pids.extend(processes(&child));
    }
    pids
}

/// Removes a group after those below it; says whether it is gone.
fn remove_tree(group: &Path) -> bool {
    for child in children(group) {
        remove_tree(&child);
    }
    match fs::remove_dir(group) {
        Ok(()) => true,
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_are_found_among_the_mounts() {
        let text = "22 27 0:21 / /proc rw,relatime - proc proc rw\n\
            30 29 0:26 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
            31 29 0:27 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw\n\
            32 29 0:27 /inner /elsewhere rw,relatime - cgroup2 cgroup2 rw\n";
        let found = parse(text);
        assert_eq!(
            found,
            [
                Hierarchy { mount: PathBuf::from("/sys/fs/cgroup/memory"), unified: false },
                Hierarchy { mount: PathBuf::from("/sys/fs/cgroup/unified"), unified: true },
            ]
        );
    }
}
