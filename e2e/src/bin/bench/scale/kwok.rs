//! Nodes without machines: kwok says of every pod there that it runs, and takes it away when it is deleted.

use std::{fs::File, path::PathBuf, process::Stdio, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use e2e::{settings::checkout, wait::until_all};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, PostParams},
    runtime::watcher::Config,
};
use serde_json::json;
use tokio::process::{Child, Command};

/// The label and the taint of the nodes, and the label of everything else that is made for a run.
pub const LABEL: &str = "browser-operator.io/e2e";
pub const VALUE: &str = "scale";

/// How many browsers a node gets, about.
const PODS_PER_NODE: usize = 500;
/// How long the nodes may take to be ready.
const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// The nodes, and the process that plays them.
pub struct Nodes {
    kwok: Child,
    log: PathBuf,
    client: Client,
    /// How many.
    pub count: usize,
}

impl Nodes {
    /// Makes nodes for so many pods, whose addresses are of that range.
    pub async fn start(client: Client, pods: usize, range: &str) -> Result<Self> {
        let program = program().await.context("kwok")?;
        // What a run that was killed has left.
        remove(&client).await?;
        let log = std::env::temp_dir().join(format!("kwok-{}.log", std::process::id()));
        let kwok = Command::new(program)
            // It takes the cluster that KUBECONFIG names.
            .arg(format!("--config={}", checkout().join(STAGES).display()))
            .arg(format!("--manage-nodes-with-label-selector={LABEL}={VALUE}"))
            .arg(format!("--cidr={range}"))
            .args(["--node-lease-duration-seconds=40", "--v=WARN"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).context("make its log")?)
            // An interrupt is for the benchmark: it needs kwok to clear up.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .context("start kwok")?;
        let mut nodes = Self { kwok, log, client, count: pods.div_ceil(PODS_PER_NODE) };
        let client = nodes.client.clone();
        let made = tokio::select! {
            made = make(&client, nodes.count) => made,
            ended = nodes.ended() => ended,
        };
        match made {
            Ok(()) => Ok(nodes),
            Err(error) => {
                nodes.end().await?;
                Err(error)
            }
        }
    }

    /// Says how kwok ended, which it does only if it fails.
    pub async fn ended(&mut self) -> Result<()> {
        let ended = self.kwok.wait().await.context("wait for kwok")?;
        let said = std::fs::read_to_string(&self.log).unwrap_or_default();
        bail!("kwok ended: {ended}: {}", said.lines().last().unwrap_or_default())
    }

    /// Removes them.
    pub async fn end(mut self) -> Result<()> {
        let removed = remove(&self.client).await;
        // It may have ended by itself.
        let _ = self.kwok.start_kill();
        self.kwok.wait().await.context("end kwok")?;
        std::fs::remove_file(&self.log).context("remove its log")?;
        removed
    }
}

const STAGES: &str = "e2e/src/bin/bench/scale/stages.yaml";

/// Built where it is not there yet.
async fn program() -> Result<PathBuf> {
    let building = Command::new("cargo")
        .args(["run", "--quiet", "--package", "cluster", "--", "kwok"])
        .current_dir(checkout())
        .stdout(Stdio::piped())
        .spawn()
        .context("run cargo")?;
    let output = building.wait_with_output().await?;
    ensure!(output.status.success(), "cluster kwok: {}", output.status);
    Ok(PathBuf::from(String::from_utf8(output.stdout).context("its path")?.trim_end()))
}

async fn make(client: &Client, count: usize) -> Result<()> {
    let api = Api::<Node>::all(client.clone());
    for number in 0..count {
        let node: Node = serde_json::from_value(json!({
            "metadata": {"name": format!("{VALUE}-{number}"), "labels": {LABEL: VALUE}},
            "spec": {"taints": [{"key": LABEL, "value": VALUE, "effect": "NoSchedule"}]},
        }))?;
        api.create(&PostParams::default(), &node).await.context("make a node")?;
    }
    let config = Config::default().labels(&format!("{LABEL}={VALUE}"));
    until_all(&api, config, "ready: kwok's nodes", READY_TIMEOUT, |nodes| {
        nodes.len() == count && nodes.values().all(is_ready)
    })
    .await
    .map(drop)
}

/// Removes the nodes and what is on them: a DaemonSet's pods, which nobody else would take away soon.
async fn remove(client: &Client) -> Result<()> {
    let nodes = Api::<Node>::all(client.clone());
    let ours = ListParams::default().labels(&format!("{LABEL}={VALUE}"));
    let listed = nodes.list(&ours).await.context("list kwok's nodes")?;
    nodes
        .delete_collection(&DeleteParams::default(), &ours)
        .await
        .context("delete kwok's nodes")?;
    for node in listed {
        let there = ListParams::default().fields(&format!("spec.nodeName={}", node.name_any()));
        let pods = Api::<Pod>::all(client.clone()).list(&there).await.context("list their pods")?;
        for pod in pods {
            let namespace = pod.namespace().unwrap_or_default();
            let pods = Api::<Pod>::namespaced(client.clone(), &namespace);
            let now = DeleteParams::default().grace_period(0);
            match pods.delete(&pod.name_any(), &now).await {
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                deleted => drop(deleted.context("delete a pod of kwok's nodes")?),
            }
        }
    }
    Ok(())
}

/// Whether pods may come: the API server's own taints go a moment after the condition is true.
fn is_ready(node: &Node) -> bool {
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    conditions.into_iter().any(|c| c.type_ == "Ready" && c.status == "True")
        && taints.into_iter().all(|taint| taint.key == LABEL)
}
