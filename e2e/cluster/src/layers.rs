//! Layers of images, and archives of images in the OCI layout.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::hash::{digest, digest_of};
use crate::record;

/// An uncompressed layer in the cache.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Layer {
    /// Its tar file.
    pub path: PathBuf,
    /// Also the diff id.
    pub digest: String,
    pub size: u64,
    /// The Debian version of the package it was made for.
    pub version: Option<String>,
}

/// What goes into a layer made here.
pub enum Entry<'a> {
    Directory(&'a str),
    /// A program, from a file of the machine.
    Program(&'a str, &'a Path),
    /// A file to read, from a file of the machine.
    Data(&'a str, &'a Path),
}

impl Layer {
    /// Reads a layer made before. Those of a removed file don't count.
    pub fn load(path: &Path) -> Result<Option<Self>> {
        let layer: Option<Self> = record::read(&path.with_extension("json"))?;
        Ok(layer.filter(|layer| layer.path.exists()))
    }

    /// Measures a finished tar file and writes down what it is.
    pub fn seal(path: &Path, version: Option<String>) -> Result<Self> {
        let (digest, size) = digest(path)?;
        let layer = Self { path: path.to_path_buf(), digest, size, version };
        record::write(&path.with_extension("json"), &layer)?;
        Ok(layer)
    }

    /// Makes a layer of a few files; the same files give the same layer.
    pub fn write(path: &Path, entries: &[Entry<'_>]) -> Result<Self> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).with_context(|| format!("make {}", parent.display()))?;
        }
        let new = path.with_extension(format!("{}.new", std::process::id()));
        let file = File::create(&new).with_context(|| format!("make {}", new.display()))?;
        let mut archive = tar::Builder::new(BufWriter::new(file));
        for entry in entries {
            append(&mut archive, entry)?;
        }
        finish(archive).with_context(|| format!("write {}", new.display()))?;
        fs::rename(&new, path).with_context(|| format!("write {}", path.display()))?;
        Self::seal(path, None)
    }

    fn descriptor(&self) -> Value {
        json!({
            "mediaType": "application/vnd.oci.image.layer.v1.tar",
            "digest": self.digest,
            "size": self.size,
        })
    }
}

fn append<W: Write>(archive: &mut tar::Builder<W>, entry: &Entry<'_>) -> Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    match entry {
        Entry::Directory(name) => {
            header.set_entry_type(tar::EntryType::Directory);
            header.set_mode(0o755);
            header.set_size(0);
            archive.append_data(&mut header, name, std::io::empty())
        }
        Entry::Program(name, source) | Entry::Data(name, source) => {
            let mode = if matches!(entry, Entry::Program(..)) { 0o755 } else { 0o644 };
            let file = File::open(source).with_context(|| format!("open {}", source.display()))?;
            let size = file.metadata().with_context(|| format!("read {}", source.display()))?.len();
            header.set_mode(mode);
            header.set_size(size);
            archive.append_data(&mut header, name, file)
        }
    }
    .context("write a layer")
}

fn finish(archive: tar::Builder<BufWriter<File>>) -> Result<()> {
    archive.into_inner()?.flush()?;
    Ok(())
}

/// An image as an archive that containerd imports.
#[derive(Clone, Debug)]
pub struct Archive {
    /// Such as `browser-operator.io/chromium:dev`.
    pub reference: String,
    pub path: PathBuf,
    /// The manifest's digest.
    pub digest: String,
}

/// Writes an archive. `absent` layers are left out: the image store has them from another image.
pub fn archive(
    directory: &Path,
    reference: &str,
    absent: &[&Layer],
    present: &[&Layer],
    config: &Value,
) -> Result<Archive> {
    let layers: Vec<&Layer> = absent.iter().chain(present).copied().collect();
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let config = serde_json::to_vec(&json!({
        "architecture": architecture,
        "os": "linux",
        "config": config,
        "rootfs": {
            "type": "layers",
            "diff_ids": layers.iter().map(|layer| &layer.digest).collect::<Vec<_>>(),
        },
    }))
    .context("write an image's config")?;
    let manifest = serde_json::to_vec(&json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": digest_of(&config),
            "size": config.len(),
        },
        "layers": layers.iter().map(|layer| layer.descriptor()).collect::<Vec<_>>(),
    }))
    .context("write an image's manifest")?;
    let digest = digest_of(&manifest);
    let index = serde_json::to_vec(&json!({
        "schemaVersion": 2,
        "manifests": [{
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": digest,
            "size": manifest.len(),
            "annotations": {
                "io.containerd.image.name": reference,
                "org.opencontainers.image.ref.name": reference,
            },
        }],
    }))
    .context("write an image's index")?;

    fs::create_dir_all(directory).with_context(|| format!("make {}", directory.display()))?;
    let name = reference.replace(['/', ':'], "_");
    let short = &digest["sha256:".len()..][..16];
    let path = directory.join(format!("{name}-{short}.tar"));
    if !path.exists() {
        let new = path.with_extension(format!("{}.new", std::process::id()));
        let file = File::create(&new).with_context(|| format!("make {}", new.display()))?;
        let mut archive = tar::Builder::new(BufWriter::new(file));
        bytes(&mut archive, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        bytes(&mut archive, "index.json", &index)?;
        bytes(&mut archive, &blob(&digest), &manifest)?;
        bytes(&mut archive, &blob(&digest_of(&config)), &config)?;
        for layer in present {
            append(&mut archive, &Entry::Data(&blob(&layer.digest), &layer.path))?;
        }
        finish(archive).with_context(|| format!("write {}", new.display()))?;
        fs::rename(&new, &path).with_context(|| format!("write {}", path.display()))?;
        keep_newest(directory, &format!("{name}-"))?;
    }
    Ok(Archive { reference: reference.to_owned(), path, digest })
}

/// Every change of a program leaves an archive and a layer behind; the latest few may be in use elsewhere.
const KEPT: usize = 4;

/// Removes all but the newest archives whose names start so.
pub fn keep_newest(directory: &Path, prefix: &str) -> Result<()> {
    let mut found = Vec::new();
    let entries =
        fs::read_dir(directory).with_context(|| format!("read {}", directory.display()))?;
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(prefix) && name.ends_with(".tar") {
            found.push((entry.metadata().and_then(|data| data.modified()).ok(), entry.path()));
        }
    }
    found.sort();
    for (_, path) in found.iter().rev().skip(KEPT) {
        // Another `cluster` may have removed it just now.
        let _ = fs::remove_file(path);
        let _ = fs::remove_file(path.with_extension("json"));
    }
    Ok(())
}

fn blob(digest: &str) -> String {
    format!("blobs/{}", digest.replace(':', "/"))
}

fn bytes<W: Write>(archive: &mut tar::Builder<W>, name: &str, contents: &[u8]) -> Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(contents.len() as u64);
    archive.append_data(&mut header, name, contents).with_context(|| format!("write {name}"))
}
