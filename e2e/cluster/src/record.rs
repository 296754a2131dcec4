//! What is known of a running cluster, under `/run` by its name: whoever
//! comes from whatever checkout finds it there.

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};

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
    /// Where its logs are.
    pub state_dir: PathBuf,
}

/// Written by the supervisor.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "phase", rename_all = "lowercase")]
pub enum Phase {
    /// Components are being started.
    Starting,
    /// The container runtime answers: images can come.
    Importable,
    /// All components run, but for those that somebody stopped.
    Running {
        /// The components that were stopped, and have ended.
        #[serde(default)]
        stopped: BTreeSet<String>,
    },
    /// A component ended, and everything with it.
    Failed {
        /// Its name, or `supervisor`.
        component: String,
        /// How it ended, and its last words.
        message: String,
    },
}

/// How a component is stopped.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// By SIGTERM: it may take its leave.
    Term,
    /// By SIGKILL: as if the machine had lost it.
    Kill,
}

/// The components that are meant to be stopped.
pub type Away = BTreeMap<String, How>;

/// The imported images: reference and digest.
pub type Imported = BTreeMap<String, String>;

/// Reads the record, if there is one.
pub fn load(name: Name) -> Result<Option<Record>> {
    read(&name.runtime().join("cluster.json"))
}

/// Writes the record.
pub fn save(name: Name, record: &Record) -> Result<()> {
    write(&name.runtime().join("cluster.json"), record)
}

/// Reads the phase, if there is one.
pub fn phase(name: Name) -> Result<Option<Phase>> {
    read(&name.runtime().join("phase.json"))
}

/// Writes the phase.
pub fn set_phase(name: Name, phase: &Phase) -> Result<()> {
    write(&name.runtime().join("phase.json"), phase)
}

/// Reads which components are meant to be stopped.
pub fn away(name: Name) -> Result<Away> {
    Ok(read(&name.runtime().join("away.json"))?.unwrap_or_default())
}

/// Writes which components are meant to be stopped; the supervisor sees to it.
pub fn set_away(name: Name, away: &Away) -> Result<()> {
    write(&name.runtime().join("away.json"), away)
}

/// Reads what was imported since the boot.
pub fn imported(name: Name) -> Result<Imported> {
    Ok(read(&name.runtime().join("images.json"))?.unwrap_or_default())
}

/// Writes what was imported.
pub fn set_imported(name: Name, imported: &Imported) -> Result<()> {
    write(&name.runtime().join("images.json"), imported)
}

/// Keeps all others from changing the cluster, until the file is dropped.
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

/// Reads JSON; a missing file is `None`.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    match std::fs::read(path) {
        Ok(text) => serde_json::from_slice(&text)
            .map(Some)
            .with_context(|| format!("read {}", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("read {}", path.display())),
    }
}

/// Writes JSON, whole or not at all.
pub fn write<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let text = serde_json::to_vec_pretty(value).context("write JSON")?;
    let new = path.with_extension(format!("{}.new", std::process::id()));
    std::fs::write(&new, text).with_context(|| format!("write {}", new.display()))?;
    std::fs::rename(&new, path).with_context(|| format!("write {}", path.display()))
}
