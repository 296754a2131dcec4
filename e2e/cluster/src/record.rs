//! What is known of a running cluster, under `/run` by its name: whoever
//! comes from whatever checkout finds it there.

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};

use crate::addresses::IpFamily;
use crate::plan::Name;
use crate::process::Process;

/// Written by `up` as soon as there is something to remove.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Record {
    /// `unshare`, the parent of the first process.
    pub launcher: Process,
    /// The first process of the namespaces.
    pub init: Process,
    /// What the cluster was booted from.
    pub boot_key: String,
    pub state_dir: PathBuf,
    #[serde(default)]
    pub ip_family: IpFamily,
}

/// Written by the supervisor.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "phase", rename_all = "lowercase")]
pub enum Phase {
    Starting,
    /// The container runtime answers: images can be imported.
    Importable,
    /// All components run, except those stopped by command.
    Running {
        /// Stopped by command, and exited.
        #[serde(default)]
        stopped: BTreeSet<String>,
    },
    /// A component exited by itself, and the cluster was torn down.
    Failed {
        /// The component's name, or `supervisor`.
        component: String,
        /// Exit status and the last lines of its log.
        message: String,
    },
}

/// How a component is stopped.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// SIGTERM: it shuts down in order.
    Term,
    /// SIGKILL: as in a crash.
    Kill,
}

/// The components that should be stopped, and how.
pub type Away = BTreeMap<String, How>;

/// The imported images: reference and digest.
pub type Imported = BTreeMap<String, String>;

pub fn load(name: Name) -> Result<Option<Record>> {
    read(&name.runtime().join("cluster.json"))
}

pub fn save(name: Name, record: &Record) -> Result<()> {
    write(&name.runtime().join("cluster.json"), record)
}

pub fn phase(name: Name) -> Result<Option<Phase>> {
    read(&name.runtime().join("phase.json"))
}

pub fn set_phase(name: Name, phase: &Phase) -> Result<()> {
    write(&name.runtime().join("phase.json"), phase)
}

pub fn away(name: Name) -> Result<Away> {
    Ok(read(&name.runtime().join("away.json"))?.unwrap_or_default())
}

/// The supervisor acts on the change.
pub fn set_away(name: Name, away: &Away) -> Result<()> {
    write(&name.runtime().join("away.json"), away)
}

/// What was imported since the boot.
pub fn imported(name: Name) -> Result<Imported> {
    Ok(read(&name.runtime().join("images.json"))?.unwrap_or_default())
}

pub fn set_imported(name: Name, imported: &Imported) -> Result<()> {
    write(&name.runtime().join("images.json"), imported)
}

/// An exclusive lock on the cluster, held until the file is dropped.
pub fn lock(name: Name) -> Result<File> {
    let path = name.lock();
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).with_context(|| format!("make {}", parent.display()))?;
    }
    let file = File::create(&path).with_context(|| format!("make {}", path.display()))?;
    if file.try_lock().is_err() {
        eprintln!("    another `cluster` is at work on {}; waiting", name.text());
        file.lock().with_context(|| format!("lock {}", path.display()))?;
    }
    Ok(file)
}

/// Reads JSON; `None` if there is no such file.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    match std::fs::read(path) {
        Ok(text) => serde_json::from_slice(&text)
            .map(Some)
            .with_context(|| format!("read {}", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("read {}", path.display())),
    }
}

/// Writes JSON atomically.
pub fn write<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let text = serde_json::to_vec_pretty(value).context("write JSON")?;
    let new = path.with_extension(format!("{}.new", std::process::id()));
    std::fs::write(&new, text).with_context(|| format!("write {}", new.display()))?;
    std::fs::rename(&new, path).with_context(|| format!("write {}", path.display()))
}
