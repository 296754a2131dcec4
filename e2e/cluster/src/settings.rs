//! The environment, read once: everything else gets it as an argument.

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

#[derive(Clone, Debug)]
pub struct Settings {
    /// Built tools, images and downloads; shared by all checkouts.
    pub cache: PathBuf,
    /// Cargo's target directory.
    pub target: PathBuf,
    /// The root of the repository.
    pub checkout: PathBuf,
    /// Compile the operator with the release profile instead of the quick one.
    pub release: bool,
    pub program: PathBuf,
    /// The caller's PATH, with the directories that Debian keeps for root.
    pub path: String,
}

impl Settings {
    pub fn from_environment() -> Result<Self> {
        let cache = match (variable("BROWSER_OPERATOR_CACHE"), variable("XDG_CACHE_HOME")) {
            (Some(cache), _) => PathBuf::from(cache),
            (None, Some(caches)) => Path::new(&caches).join("browser-operator"),
            (None, None) => Path::new(&variable("HOME").unwrap_or_else(|| "/root".to_owned()))
                .join(".cache/browser-operator"),
        };
        let cache = std::path::absolute(&cache)
            .with_context(|| format!("cache directory {}", cache.display()))?;
        let target = match variable("CARGO_TARGET_DIR") {
            Some(target) => std::path::absolute(&target)
                .with_context(|| format!("target directory {target}"))?,
            None => cache.join("target"),
        };
        let path = format!(
            "{}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            variable("PATH").unwrap_or_default()
        );
        let program = std::env::current_exe().context("find this program")?;
        Ok(Self { cache, target, checkout: checkout(), release: false, program, path })
    }

    /// This crate's directory.
    #[must_use]
    pub fn own(&self) -> PathBuf {
        self.checkout.join("e2e/cluster")
    }

    #[must_use]
    pub fn build_log(&self, name: &str) -> PathBuf {
        self.cache.join("log").join(format!("{name}.log"))
    }
}

/// The checkout around the working directory, else the one this was compiled in.
fn checkout() -> PathBuf {
    let compiled = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let here = std::env::current_dir().unwrap_or_default();
    let found =
        here.ancestors().find(|directory| directory.join("e2e/cluster/kubernetes/go.mod").exists());
    let found = found.map_or(compiled, Path::to_path_buf);
    found.canonicalize().unwrap_or(found)
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
