//! The whole road to a cluster with the operator in it.

use anyhow::{Context, Result, bail};
use nix::unistd::Uid;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;
use tokio::time::Instant;

use crate::addresses::Plan;
use crate::boot::{Boot, ready, still_up};
use crate::components::Programs;
use crate::deploy::Deploy;
use crate::down::down;
use crate::images::{self, Binaries, Roots};
use crate::kubeconfig;
use crate::layers::Archive;
use crate::packages;
use crate::plan::Name;
use crate::record;
use crate::settings::Settings;
use crate::steps::{cancel, human, output, step};
use crate::store;
use crate::tools;

/// The test pages' URL, as browsers in the cluster reach it.
const SITE_URL: &str = "http://site.site.svc.cluster.local";

/// A cluster without the operator.
struct Base {
    programs: Programs,
    tools: PathBuf,
    images: Vec<Archive>,
}

pub fn up(settings: &Settings, plan: Plan, state_dir: Option<PathBuf>) -> Result<()> {
    let name = plan.name;
    let start = Instant::now();
    if !Uid::effective().is_root() {
        bail!("a cluster needs root: it makes namespaces, mounts and cgroups");
    }
    let state = state_dir.unwrap_or_else(|| settings.own().join(name.state()));
    fs::create_dir_all(&state).with_context(|| format!("make {}", state.display()))?;
    let state = state.canonicalize().with_context(|| format!("find {}", state.display()))?;
    let _lock = record::lock(name)?;
    packages::install(settings)?;
    thread::scope(|scope| {
        // The operator is compiled and the roots are made while the cluster is built and boots.
        let roots = scope.spawn(|| images::roots(settings));
        let binaries = scope.spawn(|| images::binaries(settings));
        let work = || -> Result<()> {
            let base = base(settings)?;
            let roots = made(roots)?;
            running(settings, plan, &state, &base, &roots)?;
            let deploy = Deploy {
                plan,
                settings,
                tools: base.tools.clone(),
                kubeconfig: state.join("kubeconfig"),
            };
            kubeconfig::write_admin(plan, &deploy.kubeconfig)?;
            with_crash_report(name, deploy_all(&deploy, &base, &roots, binaries))?;
            write_env(&deploy, &state)
        };
        work().inspect_err(|_| cancel())
    })?;
    eprintln!(
        "==> cluster {} is ready ({}); {}",
        name.text(),
        human(start.elapsed()),
        state.join("env").display()
    );
    Ok(())
}

/// Reuses the running cluster, or boots one.
fn running(
    settings: &Settings,
    plan: Plan,
    state: &Path,
    base: &Base,
    roots: &Roots,
) -> Result<()> {
    let name = plan.name;
    let boot = Boot { plan, settings, programs: base.programs.clone(), state: state.to_path_buf() };
    let Err(reason) = usable(&boot) else {
        eprintln!("    cluster {} is up; it is brought up to date", name.text());
        return Ok(());
    };
    if record::load(name).is_ok_and(|record| record.is_some()) {
        eprintln!("    cluster {} can't be reused: {reason:#}", name.text());
    }
    down(name)?;
    // Pages change with the tests; everything else waits in the store.
    let mut stored = roots.archives(settings)?;
    stored.extend(base.images.iter().filter(|archive| archive.reference != images::SITE).cloned());
    let store = store::prepare(settings, &stored)?;
    let booted = step(&format!("boot cluster {}", name.text()), || {
        let linked = store::link(&store, &name.data().join("containerd"))?;
        boot.start()?;
        if linked {
            images::has(name, &stored)?;
        }
        boot.wait_importable()?;
        thread::scope(|scope| {
            // Images come while the API server starts.
            let importing = scope.spawn(|| images::import(name, settings, &base.images));
            boot.wait_ready()?;
            made(importing)
        })
    });
    with_crash_report(name, booted.map(drop))
}

/// A crash of the cluster explains more than the error of the command that met it.
fn with_crash_report(name: Name, result: Result<()>) -> Result<()> {
    if result.is_err() {
        // The supervisor ends a moment after what it watches.
        thread::sleep(Duration::from_millis(300));
        still_up(name).with_context(|| format!("cluster {}", name.text()))?;
    }
    result
}

pub fn images(settings: &Settings) -> Result<()> {
    packages::install(settings)?;
    let roots = images::roots(settings)?;
    let all = [
        images::of_cluster(settings)?,
        roots.archives(settings)?,
        roots.with_binaries(settings, &images::binaries(settings)?)?,
    ];
    for archive in all.iter().flatten() {
        println!("{} {}", archive.reference, archive.path.display());
    }
    for (browser, version) in roots.versions()? {
        println!("{browser} version {version}");
    }
    Ok(())
}

fn base(settings: &Settings) -> Result<Base> {
    Ok(Base {
        programs: Programs {
            kubernetes: tools::kubernetes(settings)?,
            kubectl: tools::kubectl(settings)?,
            kube_router: tools::kube_router(settings)?,
        },
        tools: tools::command_line_tools(settings)?,
        images: images::of_cluster(settings)?,
    })
}

/// The error says why the running cluster is not the one that would be booted.
fn usable(boot: &Boot<'_>) -> Result<()> {
    still_up(boot.plan.name)?;
    let record = record::load(boot.plan.name)?.context("it has no record")?;
    if record.boot_key != boot.key()? {
        bail!("it was booted from other inputs");
    }
    match record::phase(boot.plan.name)? {
        Some(record::Phase::Running { stopped }) if stopped.is_empty() => {}
        Some(record::Phase::Running { stopped }) => bail!("{stopped:?} is stopped"),
        _ => bail!("it never came up"),
    }
    ready(boot.plan.name, &boot.programs.kubectl)
}

type Making<'scope, T> = ScopedJoinHandle<'scope, Result<T>>;

fn deploy_all(
    deploy: &Deploy<'_>,
    base: &Base,
    roots: &Roots,
    binaries: Making<'_, Binaries>,
) -> Result<()> {
    let (name, settings) = (deploy.plan.name, deploy.settings);
    images::import(name, settings, &base.images)?;
    deploy.basics(&base.images)?;
    images::import(name, settings, &roots.archives(settings)?)?;
    let operator = roots.with_binaries(settings, &made(binaries)?)?;
    let before = record::imported(name)?;
    let new = images::import(name, settings, &operator)?;
    step("start DNS and the page server", || deploy.wait_basics())?;
    let restart =
        new.iter().any(|reference| reference == images::OPERATOR && before.contains_key(reference));
    deploy.operator(&roots.versions()?, restart)
}

fn made<T>(making: Making<'_, T>) -> Result<T> {
    making.join().unwrap_or_else(|_| bail!("a thread panicked"))
}

/// What a shell sources to work with the cluster.
fn write_env(deploy: &Deploy<'_>, state: &Path) -> Result<()> {
    let mut text = format!("export KUBECONFIG={}\n", quoted(&deploy.kubeconfig));
    text.push_str(&format!("export PATH={}:$PATH\n", quoted(&deploy.tools)));
    text.push_str(&format!("export SITE_URL={SITE_URL}\n"));
    text.push_str(&format!("export GATEWAY_URL={}\n", quoted(&deploy.plan.gateway_url())));
    text.push_str(&format!("export ENFORCES_NETWORK_POLICY={}\n", deploy.plan.network_policy));
    // With these, tests take components of this very cluster away.
    text.push_str(&format!("export CLUSTER_COMMAND={}\n", quoted(&deploy.settings.program)));
    text.push_str(&format!("export CLUSTER_NAME={}\n", deploy.plan.name.text()));
    let file = state.join("env");
    fs::write(&file, text).with_context(|| format!("write {}", file.display()))?;
    output(Command::new("sh").arg("-n").arg(&file)).map(drop)
}

fn quoted(text: &(impl AsRef<OsStr> + ?Sized)) -> String {
    format!("'{}'", text.as_ref().display().to_string().replace('\'', r"'\''"))
}
