//! The node's file system: the machine's, with the cluster's own directories
//! at the places where Kubernetes looks for its things.

use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};
use std::fs;
use std::path::Path;

use crate::plan::Name;

/// Directory under the cluster's data, and where it is seen.
pub const DIRECTORIES: [(&str, &str); 4] = [
    ("kubelet", "/var/lib/kubelet"),
    ("containerd", "/var/lib/containerd"),
    ("cni", "/etc/cni/net.d"),
    ("log", "/var/log"),
];

/// Mounts everything, in the caller's mount namespace.
pub fn enter(name: Name) -> Result<()> {
    // Volumes mounted by the kubelet must reach the containers; out of this namespace nothing goes.
    propagate(MsFlags::MS_PRIVATE)?;
    propagate(MsFlags::MS_SHARED)?;
    for (own, seen) in DIRECTORIES {
        bind(&name.data().join(own), Path::new(seen))?;
    }
    // The cluster has a `/run` of its own, in which only its runtime directory is the machine's.
    let aside = name.data().join("run");
    bind(&name.runtime(), &aside)?;
    let options = "mode=755";
    mount(Some("tmpfs"), "/run", Some("tmpfs"), MsFlags::empty(), Some(options))
        .context("mount /run")?;
    bind(&aside, &name.runtime())
}

fn propagate(how: MsFlags) -> Result<()> {
    let none: Option<&str> = None;
    mount(none, "/", none, how | MsFlags::MS_REC, none).context("set how mounts propagate")
}

fn bind(source: &Path, target: &Path) -> Result<()> {
    for directory in [source, target] {
        fs::create_dir_all(directory).with_context(|| format!("make {}", directory.display()))?;
    }
    let none: Option<&str> = None;
    mount(Some(source), target, none, MsFlags::MS_BIND, none)
        .with_context(|| format!("mount {} at {}", source.display(), target.display()))
}
