//! The operator's own pods.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams},
    runtime::watcher::Config,
};

use crate::{cluster::Cluster, wait::until_all};

/// The running pods of a component: `controller` or `gateway`.
///
/// # Errors
/// They cannot be listed.
pub async fn pods(cluster: &Cluster, component: &str) -> Result<Vec<Pod>> {
    let labels = labels(component);
    let pods = Api::<Pod>::all(cluster.client.clone());
    let pods = pods.list(&ListParams::default().labels(&labels)).await.context("list pods")?;
    Ok(pods.items.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).collect())
}

/// The addresses of a component's pods.
///
/// # Errors
/// One has none.
pub async fn addresses(cluster: &Cluster, component: &str) -> Result<Vec<String>> {
    let pods = pods(cluster, component).await?;
    ensure!(!pods.is_empty(), "there is no {component}");
    pods.into_iter()
        .map(|pod| pod.status.and_then(|status| status.pod_ip).context("a pod without an address"))
        .collect()
}

/// The sum of a metric over a component's pods, as their second port says.
///
/// # Errors
/// A pod does not say.
pub async fn metric(cluster: &Cluster, component: &str, name: &str) -> Result<f64> {
    let mut sum = 0.0;
    for address in addresses(cluster, component).await? {
        let url = format!("http://{address}:8080/metrics");
        let text = reqwest::get(&url).await.context("ask for metrics")?.text().await?;
        let values = text.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            (series.split('{').next() == Some(name)).then_some(value)
        });
        let values: Vec<&str> = values.collect();
        ensure!(!values.is_empty(), "{url} has no {name}");
        for value in values {
            sum += value.parse::<f64>().with_context(|| format!("{name} is {value}"))?;
        }
    }
    Ok(sum)
}

/// Deletes a component's pods, and waits until others stand in for them.
///
/// # Errors
/// They do not come.
pub async fn restart(cluster: &Cluster, component: &str) -> Result<()> {
    let old = pods(cluster, component).await?;
    for pod in &old {
        let namespace = pod.namespace().context("its namespace")?;
        let api = Api::<Pod>::namespaced(cluster.client.clone(), &namespace);
        api.delete(&pod.name_any(), &DeleteParams::default()).await.context("delete a pod")?;
    }
    let ready = |all: &BTreeMap<String, Pod>| {
        let are_ready = all.values().filter(|pod| {
            let conditions =
                pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
            old.iter().all(|old| old.metadata.uid != pod.metadata.uid)
                && pod.metadata.deletion_timestamp.is_none()
                && conditions.into_iter().any(|c| c.type_ == "Ready" && c.status == "True")
        });
        are_ready.count() >= old.len()
    };
    let config = Config::default().labels(&labels(component));
    let api = Api::<Pod>::all(cluster.client.clone());
    until_all(&api, config, "in place of the old ones", RESTART_LIMIT, ready).await.map(drop)
}

/// How long a component may take to be ready again.
const RESTART_LIMIT: Duration = Duration::from_secs(60);

fn labels(component: &str) -> String {
    format!("app.kubernetes.io/name=browser-operator,app.kubernetes.io/component={component}")
}
