//! The controller's process, and the machine that it runs on.

use std::{fs, net::Ipv4Addr, path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use e2e::{
    Cluster,
    local::{Process, process_of_pod},
    operator,
    wait::eventually,
};
use k8s_openapi::api::core::v1::PodCondition;
use kube::ResourceExt;

/// Of a second; the same on every Linux that Kubernetes runs on.
const TICKS: f64 = 100.0;

/// How long it may take to come back from what was done to it before.
const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// The name by which the API server knows the controller.
pub struct Account {
    /// The ServiceAccount's.
    pub name: String,
    /// Its namespace's.
    pub namespace: String,
}

/// The controller, on this machine.
pub struct Controller {
    /// Who it is.
    pub account: Account,
    pub ip: Ipv4Addr,
    process: Process,
}

impl Controller {
    /// The one that runs; `None` where it is on another machine.
    pub async fn find(cluster: &Cluster) -> Result<Option<Self>> {
        let pod = eventually(READY_TIMEOUT, async || {
            let mut pods = operator::pods(cluster, "controller").await?;
            let pod = pods.pop().context("there is no controller")?;
            ensure!(pods.is_empty(), "there is more than one controller");
            let status = pod.status.as_ref();
            let conditions = status.and_then(|status| status.conditions.as_ref());
            let is_ready = |all: &Vec<PodCondition>| {
                all.iter().any(|c| c.type_ == "Ready" && c.status == "True")
            };
            ensure!(conditions.is_some_and(is_ready), "the controller is not ready");
            Ok(pod)
        })
        .await?;
        let Some(process) =
            process_of_pod(&pod.uid().context("its pod's uid")?, "browser-operator")
        else {
            return Ok(None);
        };
        let namespace = pod.namespace().context("its namespace")?;
        let name = pod.spec.and_then(|spec| spec.service_account_name).context("its account")?;
        let ip = pod.status.and_then(|status| status.pod_ip).context("its address")?;
        Ok(Some(Self {
            account: Account { name, namespace },
            ip: ip.parse().with_context(|| format!("{ip} is not of IPv4"))?,
            process,
        }))
    }

    /// Its memory, in MiB.
    pub fn memory(&self) -> Result<f64> {
        Ok(self.process.memory().context(ENDED)? as f64 / f64::from(1 << 20))
    }

    /// Resets the peak of its memory to the present value.
    pub fn forget_most_memory(&self) -> Result<()> {
        self.process.forget_most_memory().context(ENDED)
    }

    /// The most that it had since then, in MiB.
    pub fn most_memory(&self) -> Result<f64> {
        Ok(self.process.most_memory().context(ENDED)? as f64 / f64::from(1 << 20))
    }

    /// The processor time that it has had, in seconds.
    pub fn processor_time(&self) -> Result<f64> {
        processor_time(&self.process.id().to_string()).context(ENDED)
    }

    /// The node's network: that of what has started the controller's container.
    pub fn network_of_node(&self) -> Result<PathBuf> {
        let parent = stat(&self.process.id().to_string())?.get(1).cloned().context("its parent")?;
        Ok(PathBuf::from(format!("/proc/{parent}/ns/net")))
    }
}

const ENDED: &str = "the controller has ended";

/// The processor time that this process has had, in seconds.
pub fn own_processor_time() -> Result<f64> {
    processor_time("self")
}

fn processor_time(process: &str) -> Result<f64> {
    // utime and stime.
    let ticks = stat(process)?.into_iter().skip(11).take(2);
    let ticks = ticks.map(|ticks| ticks.parse::<f64>());
    Ok(ticks.sum::<Result<f64, _>>()? / TICKS)
}

/// The words of `/proc/[pid]/stat` from the third on, which is the state (proc_pid_stat(5)).
fn stat(process: &str) -> Result<Vec<String>> {
    let file = format!("/proc/{process}/stat");
    let text = fs::read_to_string(&file).with_context(|| format!("read {file}"))?;
    // The second is a name, which may hold anything.
    let Some((_, words)) = text.rsplit_once(") ") else { bail!("{file} is {text}") };
    Ok(words.split_whitespace().map(ToOwned::to_owned).collect())
}

/// The time that this machine's processors were busy, and that they had, in seconds of one.
pub fn machine_time() -> Result<(f64, f64)> {
    let text = fs::read_to_string("/proc/stat").context("read /proc/stat")?;
    let words = text.lines().next().unwrap_or_default().split_whitespace().skip(1);
    // Without those of guests, which count as their hosts' too.
    let ticks: Vec<f64> = words.take(8).map(str::parse).collect::<Result<_, _>>()?;
    // idle and iowait.
    let idle: f64 = ticks.iter().skip(3).take(2).sum();
    let all: f64 = ticks.iter().sum();
    Ok(((all - idle) / TICKS, all / TICKS))
}
