//! Roots of Debian, made by mmdebstrap from the archive: what `FROM
//! debian:bookworm-slim` and `apt-get install` are in a Containerfile.

use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::hash::Key;
use crate::layers::{Layer, keep_newest};
use crate::settings::Settings;
use crate::steps::{Run, output, step};

/// The release of every image, whatever the machine runs. Without a mirror's name mmdebstrap takes the release from
/// Debian's own, with its updates and its security fixes.
const RELEASE: &str = "bookworm";

/// Files that no browser reads.
const LEFT_OUT: [&str; 4] =
    ["/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/info/*"];

/// The machine id that `setup.sh` writes; mmdebstrap would empty the file.
const KEPT: &str = "--skip=cleanup/reproducible/machine-id";

/// A root with the packages that a recipe names in `packages.txt`, one a
/// line, and prepared by its `setup.sh`. The first package gives its version.
pub fn root(settings: &Settings, recipe: &Path) -> Result<Layer> {
    let path = place(settings, recipe)?;
    if let Some(layer) = Layer::load(&path)? {
        return Ok(layer);
    }
    let name = name(recipe)?;
    let setup = recipe.join("setup.sh");
    let packages = packages(recipe)?;
    let packages: Vec<&str> = packages.split_whitespace().collect();
    let what = format!("make the root of {name} ({})", packages.join(", "));
    step(&what, || {
        let directory = path.parent().context("a root without a directory")?;
        fs::create_dir_all(directory).with_context(|| format!("make {}", directory.display()))?;
        let new = path.with_extension(format!("{}.new", std::process::id()));
        let status = path.with_extension(format!("{}.status", std::process::id()));
        // What it mounts goes with it, even if it is killed.
        Run::new(&what, &settings.build_log(&format!("root-{name}")), "unshare")
            .env("PATH", &settings.path)
            .args(["--mount", "--", "mmdebstrap"])
            .args(arguments(&packages, &setup, &status))
            .args([RELEASE])
            .args([&new])
            .run()?;
        let version = fs::read_to_string(&status)
            .ok()
            .and_then(|status| package_version(&status, packages.first()?));
        fs::remove_file(&status).with_context(|| format!("remove {}", status.display()))?;
        fs::rename(&new, &path).with_context(|| format!("write {}", path.display()))?;
        keep_newest(directory, &format!("{name}-"))?;
        Layer::seal(&path, version)
    })
}

/// The root's file, by all that it is made from.
fn place(settings: &Settings, recipe: &Path) -> Result<PathBuf> {
    let mut key = Key::default()
        .text(&packages(recipe)?)
        .text(RELEASE)
        .text(&LEFT_OUT.concat())
        .text(KEPT)
        .text(std::env::consts::ARCH);
    let setup = recipe.join("setup.sh");
    if setup.exists() {
        key = key.file(&setup)?;
    }
    let file = format!("{}-{}.tar", name(recipe)?, key.done());
    Ok(settings.cache.join("roots").join(file))
}

fn packages(recipe: &Path) -> Result<String> {
    let list = recipe.join("packages.txt");
    fs::read_to_string(&list).with_context(|| format!("read {}", list.display()))
}

fn name(recipe: &Path) -> Result<&str> {
    let name = recipe.file_name().and_then(|name| name.to_str());
    name.with_context(|| format!("{} has no name", recipe.display()))
}

fn arguments(packages: &[&str], setup: &Path, status: &Path) -> Vec<String> {
    let mut arguments = vec![
        "--variant=minbase".to_owned(),
        "--mode=root".to_owned(),
        "--format=tar".to_owned(),
        KEPT.to_owned(),
        format!("--include={}", packages.join(",")),
        "--aptopt=APT::Install-Recommends \"false\"".to_owned(),
        "--aptopt=APT::Sandbox::User \"root\"".to_owned(),
    ];
    arguments.extend(LEFT_OUT.map(|path| format!("--dpkgopt=path-exclude={path}")));
    if setup.exists() {
        arguments.push(format!("--customize-hook=copy-in {} /tmp", setup.display()));
        arguments.push("--customize-hook=chroot \"$1\" sh /tmp/setup.sh".to_owned());
        arguments.push("--customize-hook=rm \"$1/tmp/setup.sh\"".to_owned());
    }
    arguments.push(format!("--customize-hook=download /var/lib/dpkg/status {}", status.display()));
    arguments
}

/// The upstream part of an installed package's version: `156.0.8078.79-1~deb12u1` is `156.0.8078.79`.
fn package_version(status: &str, package: &str) -> Option<String> {
    let paragraph = status
        .split("\n\n")
        .find(|paragraph| paragraph.lines().next() == Some(&format!("Package: {package}")))?;
    let version = paragraph.lines().find_map(|line| line.strip_prefix("Version: "))?;
    let version = version.split_once(':').map_or(version, |(_, rest)| rest);
    Some(version.split(['-', '~', '+']).next()?.to_owned())
}

/// The static busybox of Debian's package.
pub fn busybox(settings: &Settings) -> Result<PathBuf> {
    let directory = settings.cache.join("tools/busybox-static");
    let program = directory.join("bin/busybox");
    if program.exists() {
        return Ok(program);
    }
    step("unpack busybox-static", || {
        fs::create_dir_all(&directory).with_context(|| format!("make {}", directory.display()))?;
        let script = "rm -f *.deb && apt-get download busybox-static && dpkg-deb -x *.deb .";
        Run::new("busybox", &settings.build_log("busybox"), "sh")
            .directory(&directory)
            .env("PATH", &settings.path)
            .args(["-c", script])
            .run()?;
        output(Command::new(&program).arg("true")).map(drop)
    })?;
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_without_epoch_and_debian_revision() {
        let status = "Package: chromium-common\nVersion: 1-1\n\nPackage: chromium\nStatus: install ok installed\nVersion: 1:156.0.8078.79-1~deb12u1\n\n";
        assert_eq!(package_version(status, "chromium").as_deref(), Some("156.0.8078.79"));
        assert_eq!(package_version(status, "firefox"), None);
    }
}
