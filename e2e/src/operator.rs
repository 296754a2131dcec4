//! The operator's own pods.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::ListParams};

use crate::cluster::Cluster;

/// The running pods of a component: `controller` or `gateway`.
///
/// # Errors
/// They cannot be listed.
pub async fn pods(cluster: &Cluster, component: &str) -> Result<Vec<Pod>> {
    let labels =
        format!("app.kubernetes.io/name=browser-operator,app.kubernetes.io/component={component}");
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
