//! What is built from Go modules: Kubernetes, CoreDNS, kube-router, the pause program and
//! the command-line tools. Each is kept under a key of its inputs.

use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::hash::Key;
use crate::settings::Settings;
use crate::steps::{Run, output, step};

/// A program that `go install` takes from a published module.
struct Module {
    name: &'static str,
    package: &'static str,
    version: &'static str,
    ldflags: &'static str,
}

/// The DNS server of the cluster.
pub const COREDNS_VERSION: &str = "v1.12.4";

const COREDNS: Module = Module {
    name: "coredns",
    package: "github.com/coredns/coredns",
    version: COREDNS_VERSION,
    ldflags: "-s -w",
};

const HELM: Module = Module {
    name: "helm",
    package: "helm.sh/helm/v3/cmd/helm",
    version: "v3.22.0",
    ldflags: "-s -w -X helm.sh/helm/v3/internal/version.version=v3.22.0",
};

const KUBECONFORM: Module = Module {
    name: "kubeconform",
    package: "github.com/yannh/kubeconform/cmd/kubeconform",
    version: "v0.8.0",
    ldflags: "-s -w -X main.version=v0.8.0",
};

/// Later ones do not work where etcd is older than 3.4.31, as Debian's is: they watch from the version 0.
const KWOK: Module = Module {
    name: "kwok",
    package: "sigs.k8s.io/kwok/cmd/kwok",
    version: "v0.6.1",
    ldflags: "-s -w",
};

/// What enforces NetworkPolicies.
const KUBE_ROUTER: Module = Module {
    name: "kube-router",
    package: "github.com/cloudnativelabs/kube-router/v2/cmd/kube-router",
    version: "v2.1.0",
    ldflags: "-s -w",
};

/// The directory of all Kubernetes programs except kubectl.
pub fn kubernetes(settings: &Settings) -> Result<PathBuf> {
    kubernetes_program(settings, "kubernetes", ".")
}

pub fn kubectl(settings: &Settings) -> Result<PathBuf> {
    kubernetes_program(settings, "kubectl", "./kubectl")
}

pub fn coredns(settings: &Settings) -> Result<PathBuf> {
    install(settings, &COREDNS)
}

pub fn kube_router(settings: &Settings) -> Result<PathBuf> {
    install(settings, &KUBE_ROUTER)
}

/// kwok, which simulates nodes and their pods.
pub fn kwok(settings: &Settings) -> Result<PathBuf> {
    install(settings, &KWOK)
}

/// The pause program.
pub fn pause(settings: &Settings) -> Result<PathBuf> {
    let module = settings.own().join("pause");
    let key = Key::default()
        .text(&go_version()?)
        .file(&module.join("main.go"))?
        .file(&module.join("go.mod"))?
        .done();
    built(settings, "pause", "build pause", &key, "go", |run, program| {
        run.directory(&module)
            .args(["build", "-trimpath", "-ldflags", "-s -w", "-o"])
            .args([program])
            .run()
    })
}

/// Firefox' driver, of the version that the Containerfile names. Static enough: it needs the C library of the machine
/// or a later one, as the operator does.
pub fn geckodriver(settings: &Settings, containerfile: &Path) -> Result<PathBuf> {
    let text = fs::read_to_string(containerfile)
        .with_context(|| format!("read {}", containerfile.display()))?;
    let version = text
        .split_once("cargo install geckodriver --version ")
        .and_then(|(_, rest)| rest.split_whitespace().next())
        .with_context(|| format!("no geckodriver in {}", containerfile.display()))?;
    let key = Key::default().text(version).text(std::env::consts::ARCH).done();
    let what = format!("build geckodriver {version}");
    built(settings, "geckodriver", &what, &key, "cargo", |run, program| {
        let directory = program.parent().context("a program without a directory")?;
        run.args(["install", "geckodriver", "--locked", "--version", version])
            .args(["--target-dir".as_ref(), settings.target.join("geckodriver").as_os_str()])
            .args(["--root".as_ref(), directory.as_os_str()])
            .run()?;
        fs::rename(directory.join("bin/geckodriver"), program)
            .with_context(|| format!("make {}", program.display()))?;
        fs::remove_dir_all(settings.target.join("geckodriver"))
            .context("remove what it was made from")
    })
}

/// helm, kubectl and kubeconform, together in the directory that is returned.
pub fn command_line_tools(settings: &Settings) -> Result<PathBuf> {
    let tools = [kubectl(settings)?, install(settings, &HELM)?, install(settings, &KUBECONFORM)?];
    let mut key = Key::default();
    for tool in &tools {
        key = key.text(&tool.display().to_string());
    }
    let directory = settings.cache.join("tools").join(format!("bin-{}", key.done()));
    fs::create_dir_all(&directory).with_context(|| format!("make {}", directory.display()))?;
    for tool in &tools {
        let link = directory.join(tool.file_name().context("a tool without a name")?);
        if !link.exists() {
            let _ = fs::remove_file(&link);
            std::os::unix::fs::symlink(tool, &link)
                .with_context(|| format!("make {}", link.display()))?;
        }
    }
    Ok(directory)
}

fn kubernetes_program(settings: &Settings, name: &str, package: &str) -> Result<PathBuf> {
    let module = settings.own().join("kubernetes");
    let requirements = module.join("go.mod");
    let text = fs::read_to_string(&requirements)
        .with_context(|| format!("read {}", requirements.display()))?;
    let version = required(&text, "k8s.io/kubernetes")
        .with_context(|| format!("no Kubernetes in {}", requirements.display()))?;
    let key = Key::default()
        .text(&go_version()?)
        .text(&text)
        .file(&module.join("go.sum"))?
        .file(&module.join(package).join("main.go"))?
        .done();
    let what = format!("build {name} {version}");
    built(settings, name, &what, &key, "go", |run, program| {
        run.directory(&module)
            .args(["build", "-trimpath", "-ldflags", &version_flags(version), "-o"])
            .args([program])
            .args([package])
            .run()
    })
}

fn install(settings: &Settings, module: &Module) -> Result<PathBuf> {
    let key = Key::default()
        .text(&go_version()?)
        .text(module.package)
        .text(module.version)
        .text(module.ldflags)
        .done();
    let what = format!("build {} {}", module.name, module.version);
    built(settings, module.name, &what, &key, "go", |run, program| {
        let directory = program.parent().context("a program without a directory")?;
        run.env("GOBIN", directory)
            .args(["install", "-trimpath", "-ldflags", module.ldflags])
            .args([format!("{}@{}", module.package, module.version)])
            .run()
    })
}

/// Builds a program unless it exists; a failed build leaves nothing.
fn built(
    settings: &Settings,
    name: &str,
    what: &str,
    key: &str,
    builder: &str,
    build: impl FnOnce(Run, &Path) -> Result<()>,
) -> Result<PathBuf> {
    let directory = settings.cache.join("tools").join(format!("{name}-{key}"));
    let program = directory.join(name);
    if program.exists() {
        return Ok(program);
    }
    step(what, || {
        let new =
            settings.cache.join("tools").join(format!("{name}-{key}.{}.new", std::process::id()));
        let _ = fs::remove_dir_all(&new);
        fs::create_dir_all(&new).with_context(|| format!("make {}", new.display()))?;
        let run = Run::new(what, &settings.build_log(name), builder)
            .env("PATH", &settings.path)
            .env("CGO_ENABLED", "0")
            .env("GOFLAGS", "-buildvcs=false")
            .env("GOWORK", "off");
        build(run, &new.join(name))?;
        // Another `cluster` may have been faster.
        if program.exists() {
            return fs::remove_dir_all(&new).with_context(|| format!("remove {}", new.display()));
        }
        fs::rename(&new, &directory).with_context(|| format!("make {}", directory.display()))
    })?;
    Ok(program)
}

fn go_version() -> Result<String> {
    output(Command::new("go").args(["env", "GOVERSION", "GOOS", "GOARCH"]))
        .context("Go is needed: https://go.dev/dl")
}

/// The version that a go.mod requires of a module.
fn required<'a>(requirements: &'a str, module: &str) -> Option<&'a str> {
    requirements.lines().find_map(|line| {
        let line = line.trim().trim_start_matches("require ");
        let (name, version) = line.split_once(' ')?;
        (name == module).then(|| version.split(' ').next().unwrap_or(version))
    })
}

/// Without these flags the node reports no version.
fn version_flags(version: &str) -> String {
    let mut numbers = version.trim_start_matches('v').split('.');
    let major = numbers.next().unwrap_or_default();
    let minor = numbers.next().unwrap_or_default();
    let mut flags = "-s -w".to_owned();
    for package in ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"] {
        for (variable, value) in [
            ("gitVersion", version),
            ("gitMajor", major),
            ("gitMinor", minor),
            ("gitTreeState", "clean"),
        ] {
            flags.push_str(&format!(" -X {package}.{variable}={value}"));
        }
    }
    flags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_one_that_is_required_and_not_a_replacement() {
        let text =
            "module m\n\nrequire (\n\tk8s.io/api v0.0.0\n\tk8s.io/kubernetes v1.34.4 // note\n)\n";
        assert_eq!(required(text, "k8s.io/kubernetes"), Some("v1.34.4"));
        assert_eq!(required(text, "k8s.io/kube"), None);
    }

    #[test]
    fn both_version_packages_are_told() {
        let flags = version_flags("v1.34.4");
        assert!(flags.contains("k8s.io/component-base/version.gitVersion=v1.34.4"));
        assert!(flags.contains("k8s.io/client-go/pkg/version.gitMinor=34"));
    }
}
