//! Faults: components of the cluster are taken away, and processes in its pods killed. Only where the cluster is one that
//! `e2e/cluster` runs on this machine; elsewhere what needs them is left out.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::{Config, ResourceExt};
use nix::sys::signal::Signal;
use serde_json::Value;
use tokio::{process::Command, sync::RwLock};

use crate::{Cluster, Namespace, finally::finally, local::process_of_pod, with_namespace};

/// Tests that disturb the whole cluster run alone. `cargo test` runs its binaries one after another, so a lock in each is enough.
static CALM: RwLock<()> = RwLock::const_new(());

/// The components that a control plane's machine takes with it.
pub const CONTROL_PLANE: [&str; 3] =
    ["kube-scheduler", "kube-controller-manager", "kube-apiserver"];

/// Sends HTTP where there may be no client for it: into the cluster's own loopback.
const POST: &str = r#"
exec 3<>"/dev/tcp/127.0.0.1/$1"
printf 'POST %s HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s' "$2" "${#3}" "$3" >&3
cat <&3"#;

pub struct Faults {
    command: PathBuf,
    name: String,
}

/// Runs a test that disturbs the whole cluster, while no other test of this process runs.
pub async fn alone(test: impl AsyncFnOnce(&Faults, &Namespace) -> Result<()>) -> Result<()> {
    let _alone = CALM.write().await;
    with_faults(test).await
}

/// Runs a test that disturbs nobody but itself.
pub async fn beside_others(
    test: impl AsyncFnOnce(&Faults, &Namespace) -> Result<()>,
) -> Result<()> {
    let _calm = CALM.read().await;
    with_faults(test).await
}

async fn with_faults(test: impl AsyncFnOnce(&Faults, &Namespace) -> Result<()>) -> Result<()> {
    with_namespace(async |namespace| match Faults::available(&namespace.cluster).await? {
        Some(faults) => test(&faults, &namespace).await,
        None => {
            println!("left out: this is no cluster of e2e/cluster on this machine");
            Ok(())
        }
    })
    .await
}

impl Faults {
    /// Where the cluster under test is one of `e2e/cluster`, and whole.
    async fn available(cluster: &Cluster) -> Result<Option<Self>> {
        let settings = &cluster.settings;
        if settings.cluster_command.is_empty() {
            return Ok(None);
        }
        let (command, name) = (&settings.cluster_command, &settings.cluster_name);
        let faults = Self { command: command.into(), name: name.clone() };
        let status = faults.run(&["status"]).await.context("a cluster that is whole")?;
        // A shell may have the one's variables and another's KUBECONFIG.
        let server = Config::infer().await.context("read KUBECONFIG")?.cluster_url;
        let server = server.to_string();
        let line = format!("api server: {}", server.trim_end_matches('/'));
        Ok(status.lines().any(|said| said == line).then_some(faults))
    }

    async fn run(&self, arguments: &[&str]) -> Result<String> {
        let (command, rest) = arguments.split_first().context("a command")?;
        let output = Command::new(&self.command)
            .args([command, "--name", &self.name])
            .args(rest)
            .kill_on_drop(true)
            .output()
            .await
            .with_context(|| format!("run {}", self.command.display()))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(
            output.status.success(),
            "cluster {}: {}{text}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(text)
    }

    /// Does something while components are away: killed in this order, as a machine loses them. They are brought back,
    /// the last first, and ready, before this returns, however the work ends.
    pub async fn without<T>(
        &self,
        components: &[&str],
        work: impl AsyncFnOnce() -> Result<T>,
    ) -> Result<T> {
        let away = async {
            for component in components {
                self.run(&["stop", component, "--signal", "kill"]).await?;
            }
            work().await
        };
        let restore = async {
            let mut all = Ok(());
            for component in components.iter().rev() {
                all = all.and(self.run(&["start", component]).await.map(drop));
            }
            all
        };
        finally(away, restore).await
    }

    /// Runs `work` while a process is stopped (SIGSTOP); it continues before this returns, whatever the outcome.
    pub async fn while_stopped<T>(
        &self,
        pod: &Pod,
        program: &str,
        work: impl AsyncFnOnce() -> Result<T>,
    ) -> Result<T> {
        let stopped = async {
            self.kill(pod, program, Signal::SIGSTOP)?;
            work().await
        };
        finally(stopped, async { self.kill(pod, program, Signal::SIGCONT) }).await
    }

    /// Posts JSON to a port of the cluster's own loopback, where etcd listens, and returns the answer.
    pub async fn post(&self, port: u16, path: &str, body: &Value) -> Result<Value> {
        let (port, body) = (port.to_string(), body.to_string());
        let arguments = ["exec", "--", "bash", "-c", POST, "post", &port, path, &body];
        let said = self.run(&arguments).await?;
        let (_, json) = said.split_once("\r\n\r\n").with_context(|| format!("{path}: {said}"))?;
        serde_json::from_str(json).with_context(|| format!("{path}: {said}"))
    }

    /// Signals the process of a pod that runs a program.
    pub fn kill(&self, pod: &Pod, program: &str, signal: Signal) -> Result<()> {
        let uid = pod.metadata.uid.as_deref().context("the pod's uid")?;
        let process = process_of_pod(uid, program);
        let process = process.with_context(|| format!("{} runs no {program}", pod.name_any()))?;
        ensure!(process.signal(signal)?, "{program} of {} has ended", pod.name_any());
        Ok(())
    }

    /// The CPU time that a pod has used so far.
    pub fn processor_time(&self, pod: &Pod) -> Result<Duration> {
        let group = self.group(pod, "cpuacct")?;
        let read = |file| {
            let file = group.join(file);
            fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))
        };
        if let Ok(nanoseconds) = read("cpuacct.usage") {
            return Ok(Duration::from_nanos(nanoseconds.trim().parse().context("cpuacct.usage")?));
        }
        let stat = read("cpu.stat")?;
        let usage = stat.lines().find_map(|line| line.strip_prefix("usage_usec "));
        let usage = usage.context("cpu.stat has no usage_usec")?;
        Ok(Duration::from_micros(usage.parse().context("usage_usec")?))
    }

    /// A pod's cgroup, of version 1 or 2.
    fn group(&self, pod: &Pod, controller: &str) -> Result<PathBuf> {
        let uid = pod.metadata.uid.as_deref().context("the pod's uid")?;
        let version_1 = Path::new("/sys/fs/cgroup").join(controller);
        let mount = if version_1.exists() { &version_1 } else { Path::new("/sys/fs/cgroup") };
        let pods = mount.join(format!("browser-operator-{}/pods/kubepods", self.name));
        ["", "burstable", "besteffort"]
            .into_iter()
            .map(|class| pods.join(class).join(format!("pod{uid}")))
            .find(|group| group.exists())
            .with_context(|| format!("pod {} is not on this machine", pod.name_any()))
    }
}
