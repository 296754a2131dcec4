//! The images of the cluster, and their way into its image store.

use anyhow::{Context, Result};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

use crate::containerfile;
use crate::debian;
use crate::enter;
use crate::hash::Key;
use crate::layers::{Archive, Entry, Layer, archive, keep_newest};
use crate::plan::Name;
use crate::record;
use crate::settings::Settings;
use crate::steps::{Run, step};
use crate::tools;

/// The first container of every pod.
pub const PAUSE: &str = "browser-operator.io/pause:dev";
/// The server of test pages.
pub const SITE: &str = "browser-operator.io/site:dev";
/// Proxies that tests send a browser's requests through.
const PROXIES: &str = "browser-operator.io/proxies:dev";
pub const OPERATOR: &str = "browser-operator.io/operator:dev";
/// The echo driver in the place of a browser's, for tests: the chart has no class of it.
pub const ECHO: &str = "browser-operator.io/echo:dev";
/// The repository of our images.
const REPOSITORY: &str = "browser-operator.io";
/// The browsers' images, which are the classes' names.
const BROWSERS: [&str; 2] = ["chromium", "firefox"];

#[must_use]
pub fn coredns() -> String {
    format!("browser-operator.io/coredns:{}", tools::COREDNS_VERSION)
}

/// The images that a cluster needs, without the operator's own.
pub fn of_cluster(settings: &Settings) -> Result<Vec<Archive>> {
    Ok(vec![
        program(settings, PAUSE, "/pause", tools::pause(settings)?)?,
        program(settings, &coredns(), "/coredns", tools::coredns(settings)?)?,
        site(settings)?,
        proxies(settings)?,
    ])
}

/// The roots of the operator's images, as images of their own: with them in
/// the image store, a new binary is but a small layer.
pub struct Roots(Vec<Root>);

/// The layers of an operator's image below the binary.
struct Root {
    name: &'static str,
    system: Layer,
    /// What Debian has no package for.
    more: Option<Layer>,
}

pub fn roots(settings: &Settings) -> Result<Roots> {
    let mut roots = Vec::new();
    for name in [&["operator"], &BROWSERS[..]].concat() {
        let system = debian::root(settings, &recipe(settings, name))?;
        let more = if name == "firefox" { Some(geckodriver(settings)?) } else { None };
        roots.push(Root { name, system, more });
    }
    Ok(Roots(roots))
}

fn geckodriver(settings: &Settings) -> Result<Layer> {
    let containerfile = recipe(settings, "firefox").join("Containerfile");
    let program = tools::geckodriver(settings, &containerfile)?;
    let key = Key::default().file(&program)?.done();
    let entries = [
        Entry::Directory("usr/"),
        Entry::Directory("usr/bin/"),
        Entry::Program("usr/bin/geckodriver", &program),
    ];
    layer(settings, "geckodriver-", &key, &entries)
}

fn recipe(settings: &Settings, image: &str) -> PathBuf {
    settings.checkout.join("images").join(image)
}

impl Root {
    fn layers(&self) -> Vec<&Layer> {
        [&self.system].into_iter().chain(&self.more).collect()
    }
}

impl Roots {
    /// The browsers' names and versions, as the browsers say them.
    pub fn versions(&self) -> Result<Vec<(&'static str, String)>> {
        self.0
            .iter()
            .filter(|root| BROWSERS.contains(&root.name))
            .map(|root| {
                let version = root.system.version.as_ref();
                let version = version.with_context(|| format!("{} has no version", root.name))?;
                // Debian says which line of Firefox it is; Firefox does not.
                Ok((root.name, version.trim_end_matches("esr").to_owned()))
            })
            .collect()
    }

    pub fn archives(&self, settings: &Settings) -> Result<Vec<Archive>> {
        let root = |root: &Root| {
            let reference = format!("{REPOSITORY}/{}-root:dev", root.name);
            archive(&archives(settings), &reference, &[], &root.layers(), &json!({}))
        };
        self.0.iter().map(root).collect()
    }

    /// The operator's images, which hold only the binary and need the roots to be there.
    pub fn with_binaries(&self, settings: &Settings, binaries: &Binaries) -> Result<Vec<Archive>> {
        let operator = binary(settings, "browser-operator", &binaries.operator)?;
        let image = |root: &Root| {
            let containerfile = recipe(settings, root.name).join("Containerfile");
            archive(
                &archives(settings),
                &format!("{REPOSITORY}/{}:dev", root.name),
                &root.layers(),
                &[&operator],
                &containerfile::settings(&containerfile)?,
            )
        };
        let mut images = self.0.iter().map(image).collect::<Result<Vec<Archive>>>()?;
        images.push(self.echo(settings, &operator, &binaries.echo)?);
        Ok(images)
    }

    fn echo(&self, settings: &Settings, operator: &Layer, program: &Path) -> Result<Archive> {
        let root = self.0.iter().find(|root| root.name == "operator");
        let root = root.context("the operator's root is missing")?;
        let driver = binary(settings, "echo-driver", program)?;
        let containerfile = settings.checkout.join("e2e/driver/Containerfile");
        archive(
            &archives(settings),
            ECHO,
            &root.layers(),
            &[operator, &driver],
            &containerfile::settings(&containerfile)?,
        )
    }
}

fn binary(settings: &Settings, name: &str, program: &Path) -> Result<Layer> {
    let key = Key::default().file(program)?.done();
    let entries = [
        Entry::Directory("usr/"),
        Entry::Directory("usr/bin/"),
        Entry::Program(&format!("usr/bin/{name}"), program),
    ];
    layer(settings, &format!("{name}-"), &key, &entries)
}

pub struct Binaries {
    operator: PathBuf,
    /// The echo driver.
    echo: PathBuf,
}

/// Compiles the operator and the echo driver: as a release, or in pieces, so that a change costs seconds.
pub fn binaries(settings: &Settings) -> Result<Binaries> {
    step("compile the operator", || {
        let run = Run::new("compile the operator", &settings.build_log("operator"), "cargo")
            .directory(&settings.checkout)
            .env("CARGO_TARGET_DIR", &settings.target)
            .args(["build", "--package", "browser-operator", "--package", "echo-driver"]);
        let profile = if settings.release { "release" } else { "cluster" };
        let run = run.args(["--profile", profile]);
        let run = if settings.release {
            run
        } else {
            run.args(PROFILE.iter().flat_map(|line| ["--config", line]))
        };
        run.run()?;
        let made = settings.target.join(profile);
        Ok(Binaries { operator: made.join("browser-operator"), echo: made.join("echo-driver") })
    })
}

const PROFILE: [&str; 5] = [
    "profile.cluster.inherits='release'",
    "profile.cluster.lto='off'",
    "profile.cluster.codegen-units=16",
    "profile.cluster.incremental=true",
    "profile.cluster.opt-level=2",
];

/// Imports what the cluster does not have yet; returns the references of what it got.
pub fn import(name: Name, settings: &Settings, archives: &[Archive]) -> Result<Vec<String>> {
    let mut imported = record::imported(name)?;
    let mut new = Vec::new();
    for archive in archives {
        if imported.get(&archive.reference) == Some(&archive.digest) {
            continue;
        }
        step(&format!("import {}", archive.reference), || {
            let log = settings.build_log(&format!("import-{}", name.text()));
            Run::new("import", &log, "nsenter")
                .env("PATH", &settings.path)
                .args(enter::namespaces(name)?)
                .args(["ctr", "--namespace", "k8s.io", "images", "import"])
                .args([&archive.path])
                .run()
        })?;
        imported.insert(archive.reference.clone(), archive.digest.clone());
        record::set_imported(name, &imported)?;
        new.push(archive.reference.clone());
    }
    Ok(new)
}

/// Records images that the image store already had at the boot.
pub fn has(name: Name, archives: &[Archive]) -> Result<()> {
    let mut imported = record::imported(name)?;
    for archive in archives {
        imported.insert(archive.reference.clone(), archive.digest.clone());
    }
    record::set_imported(name, &imported)
}

fn archives(settings: &Settings) -> PathBuf {
    settings.cache.join("images")
}

fn program(settings: &Settings, reference: &str, path: &str, file: PathBuf) -> Result<Archive> {
    let key = Key::default().text(path).file(&file)?.done();
    let name = path.trim_start_matches('/');
    let layer = layer(settings, &format!("{name}-"), &key, &[Entry::Program(name, &file)])?;
    let config = json!({"Entrypoint": [path], "User": "65532:65532"});
    archive(&archives(settings), reference, &[], &[&layer], &config)
}

fn proxies(settings: &Settings) -> Result<Archive> {
    let recipe = recipe(settings, "proxies");
    let root = debian::root(settings, &recipe)?;
    let config = containerfile::settings(&recipe.join("Containerfile"))?;
    archive(&archives(settings), PROXIES, &[], &[&root], &config)
}

fn site(settings: &Settings) -> Result<Archive> {
    let busybox = debian::busybox(settings)?;
    let recipe = recipe(settings, "site");
    let mut pages: Vec<PathBuf> = fs::read_dir(&recipe)
        .with_context(|| format!("read {}", recipe.display()))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension().is_some_and(|extension| extension == "html" || extension == "js")
        })
        .collect();
    pages.sort();
    let mut key = Key::default().file(&busybox)?;
    let mut names = Vec::new();
    for page in &pages {
        let file = page.file_name().context("a page without a name")?;
        let name = format!("site/{}", file.display());
        key = key.text(&name).file(page)?;
        names.push(name);
    }
    let mut entries = vec![
        Entry::Directory("bin/"),
        Entry::Program("bin/busybox", &busybox),
        Entry::Directory("site/"),
    ];
    entries.extend(names.iter().zip(&pages).map(|(name, page)| Entry::Data(name, page)));
    let layer = layer(settings, "site-", &key.done(), &entries)?;
    let config = containerfile::settings(&recipe.join("Containerfile"))?;
    archive(&archives(settings), SITE, &[], &[&layer], &config)
}

/// `kind` and `key` name it; older ones of the kind are removed.
fn layer(settings: &Settings, kind: &str, key: &str, entries: &[Entry<'_>]) -> Result<Layer> {
    let name = format!("{kind}{key}");
    let path = settings.cache.join("layers").join(format!("{name}.tar"));
    match Layer::load(&path)? {
        Some(layer) => Ok(layer),
        None => {
            let layer = Layer::write(&path, entries)?;
            keep_newest(&settings.cache.join("layers"), kind)?;
            Ok(layer)
        }
    }
}
