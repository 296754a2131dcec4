//! Removes a cluster by its name alone, whatever state it is in.

use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::cgroups;
use crate::network;
use crate::plan::Name;
use crate::record;
use crate::steps::{step, wait_for};

/// Takes the lock and removes the cluster.
pub fn down_alone(name: Name) -> Result<()> {
    let _lock = record::lock(name)?;
    down(name)
}

/// Removes the cluster; the caller holds the lock.
pub fn down(name: Name) -> Result<()> {
    if !traces(name)? {
        eprintln!("    cluster {} is not up", name.text());
        return Ok(());
    }
    step(&format!("stop cluster {}", name.text()), || {
        // The cgroups have every process, also where the record cannot be read.
        if let Ok(Some(record)) = record::load(name) {
            // The kernel kills the whole namespace with its first process.
            record.init.kill();
            record.launcher.kill();
            wait_for("the cluster's processes to end", Duration::from_secs(60), || {
                anyhow::ensure!(!record.init.alive(), "process {} lives", record.init.pid);
                Ok(())
            })?;
        }
        cgroups::remove(name)?;
        network::remove(name)?;
        remove(&name.data())?;
        remove(&name.runtime())
    })
}

fn traces(name: Name) -> Result<bool> {
    Ok(name.runtime().exists()
        || name.data().exists()
        || network::exists(name)
        || !cgroups::existing(name)?.is_empty())
}

fn remove(directory: &Path) -> Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", directory.display()))
        }
        _ => Ok(()),
    }
}
