//! `browser-operator node`: keeps the browsers' seccomp profiles where the kubelet looks for them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
use prometheus_client::registry::Registry;
use support::{health::Ready, panics, signals};
use tokio_util::task::TaskTracker;

use super::common::{AdminArgs, LogArgs};

#[derive(clap::Args, Debug)]
pub struct Args {
    /// The folder of the profiles.
    #[arg(long, default_value = "/profiles")]
    profiles: PathBuf,
    /// The kubelet's folder of seccomp profiles, to copy them to.
    #[arg(long, default_value = "/host/seccomp")]
    seccomp_dir: PathBuf,
    #[command(flatten)]
    admin: AdminArgs,
    #[command(flatten)]
    logs: LogArgs,
}

/// Copies the profiles, and then runs until SIGTERM, so that its pod's readiness says that they are there.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let Args { profiles, seccomp_dir, admin, logs } = args;
    logs.start();
    panics::report_without_metric();
    let stop = signals::shutdown().context("listen for signals")?;
    let (tasks, ready) = (TaskTracker::new(), Ready::default());
    admin.start(ready.clone(), Registry::default(), stop.clone(), &tasks).await?;
    let copied = copy(&profiles, &seccomp_dir)?;
    tracing::info!(copied, to = %seccomp_dir.display(), "the profiles are on this node");
    ready.set(true);
    tasks.close();
    tasks.wait().await;
    Ok(())
}

/// Writes each profile under another name first, so that the kubelet never reads half of one.
fn copy(from: &Path, to: &Path) -> anyhow::Result<usize> {
    let mut copied = 0;
    fs::create_dir_all(to).with_context(|| format!("make {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("read {}", from.display()))? {
        let source = entry?.path();
        let (Some(name), true) =
            (source.file_name(), source.extension().is_some_and(|extension| extension == "json"))
        else {
            continue;
        };
        let target = to.join(name);
        let temporary = target.with_extension("json.new");
        let text = fs::read(&source).with_context(|| format!("read {}", source.display()))?;
        fs::write(&temporary, text).with_context(|| format!("write {}", temporary.display()))?;
        fs::rename(&temporary, &target).with_context(|| format!("write {}", target.display()))?;
        copied += 1;
    }
    anyhow::ensure!(copied > 0, "{} has no profile", from.display());
    Ok(copied)
}
