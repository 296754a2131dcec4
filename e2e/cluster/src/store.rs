//! An image store with the big images in it, made once: a new cluster gets
//! hard links to its files in a moment, where an import takes its time.
//! What is linked never changes: layers are read-only below every container,
//! and blobs are named by their digests. The databases are copied.

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::hash::Key;
use crate::layers::Archive;
use crate::packages;
use crate::settings::Settings;
use crate::steps::{Run, output, step, tail, wait_for};

/// How many stores are kept. A running cluster holds on to its files by itself.
const KEPT: usize = 2;

/// Makes a store of these images, unless it is there.
pub fn prepare(settings: &Settings, images: &[Archive]) -> Result<PathBuf> {
    let mut key = Key::default().text(&packages::versions()?);
    for image in images {
        key = key.text(&image.reference).text(&image.digest);
    }
    let stores = settings.cache.join("stores");
    let store = stores.join(key.done());
    if !store.exists() {
        step("make an image store", || {
            let new = store.with_extension(format!("{}.new", std::process::id()));
            empty(&new)?;
            fill(settings, &new, images)?;
            // Another `cluster` may have been faster.
            if store.exists() {
                return fs::remove_dir_all(&new)
                    .with_context(|| format!("remove {}", new.display()));
            }
            fs::rename(&new, &store).with_context(|| format!("make {}", store.display()))
        })?;
        keep_newest(&stores)?;
    }
    Ok(store)
}

/// Gives a cluster that is not yet up the store's contents. Says whether it could: links don't cross file systems.
pub fn link(store: &Path, target: &Path) -> Result<bool> {
    empty(target)?;
    let arguments = ["--archive", "--link", "--no-target-directory"];
    let linked = output(Command::new("cp").args(arguments).args([store, target]));
    if let Err(error) = linked {
        eprintln!("    the image store can't be linked, images are imported: {error:#}");
        empty(target)?;
        return Ok(false);
    }
    own_databases(target)?;
    Ok(true)
}

/// Imports images by a containerd that lives only for that, and dies with this program.
fn fill(settings: &Settings, root: &Path, images: &[Archive]) -> Result<()> {
    let runtime = PathBuf::from(format!("/run/browser-operator/store-{}", std::process::id()));
    empty(&runtime)?;
    let socket = runtime.join("containerd.sock");
    let config = runtime.join("config.toml");
    let text = format!(
        "version = 2\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\nroot = {root:?}\nstate = {:?}\n[grpc]\naddress = {socket:?}\n",
        runtime.join("state")
    );
    fs::write(&config, text).with_context(|| format!("write {}", config.display()))?;
    let log = settings.build_log("store");
    let file = File::create(&log).with_context(|| format!("make {}", log.display()))?;
    let mut child = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "containerd", "--config"])
        .arg(&config)
        .env("PATH", &settings.path)
        .stdin(Stdio::null())
        .stdout(file.try_clone().context("open a log")?)
        .stderr(file)
        .spawn()
        .context("start containerd")?;
    let ctr = ["--namespace", "k8s.io", "--address"];
    let imported = wait_for("containerd", Duration::from_secs(20), || {
        output(Command::new("ctr").args(ctr).arg(&socket).arg("version"))
            .map(drop)
            .with_context(|| tail(&log, 20))
    })
    .and_then(|()| {
        images.iter().try_for_each(|image| {
            let log = settings.build_log("store-import");
            Run::new(&format!("import {}", image.reference), &log, "ctr")
                .args(ctr)
                .args([&socket])
                .args(["images", "import"])
                .args([&image.path])
                .run()
        })
    });
    let pid = i32::try_from(child.id()).context("the id of containerd")?;
    // It may have ended by itself; then there is nothing to end.
    let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
    child.wait().context("wait for containerd")?;
    imported?;
    fs::remove_dir_all(&runtime).with_context(|| format!("remove {}", runtime.display()))
}

/// Replaces linked databases by copies.
fn own_databases(directory: &Path) -> Result<()> {
    let entries =
        fs::read_dir(directory).with_context(|| format!("read {}", directory.display()))?;
    for plugin in entries.flatten() {
        for entry in fs::read_dir(plugin.path()).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|extension| extension == "db") {
                let copy = path.with_extension("copy");
                fs::copy(&path, &copy)
                    .and_then(|_| fs::rename(&copy, &path))
                    .with_context(|| format!("copy {}", path.display()))?;
            }
        }
    }
    Ok(())
}

fn keep_newest(stores: &Path) -> Result<()> {
    let entries = fs::read_dir(stores).with_context(|| format!("read {}", stores.display()))?;
    let mut found: Vec<_> = entries
        .flatten()
        .map(|entry| (entry.metadata().and_then(|data| data.modified()).ok(), entry.path()))
        .collect();
    found.sort();
    for (_, path) in found.iter().rev().skip(KEPT) {
        // Another `cluster` may be at it too.
        let _ = fs::remove_dir_all(path);
    }
    Ok(())
}

fn empty(directory: &Path) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory).with_context(|| format!("remove {}", directory.display()))?;
    }
    fs::create_dir_all(directory).with_context(|| format!("make {}", directory.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn a_linked_store_shares_its_blobs_and_owns_its_databases() {
        let directory = std::env::temp_dir().join(format!("store-{}", std::process::id()));
        let (store, target) = (directory.join("store"), directory.join("target"));
        empty(&store.join("plugin")).unwrap();
        for file in ["blob", "meta.db"] {
            fs::write(store.join("plugin").join(file), file).unwrap();
        }
        assert!(link(&store, &target).unwrap());
        let inode = |path: PathBuf| fs::metadata(path).unwrap().ino();
        let of = |file: &str| {
            (inode(store.join("plugin").join(file)), inode(target.join("plugin").join(file)))
        };
        let (blob, linked) = of("blob");
        assert_eq!(blob, linked);
        let (database, copied) = of("meta.db");
        assert_ne!(database, copied);
        fs::remove_dir_all(directory).unwrap();
    }
}
