//! Whatever families of addresses a cluster has: everything listens on each of them.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{authority, operator, wait::eventually, with_namespace};
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::{Api, ResourceExt, api::ListParams};
use serde_json::{Value, json};

/// How long a proxy may take to learn of an endpoint.
const REACHED: Duration = Duration::from_secs(10);

/// All addresses of a pod, the preferred one first.
fn addresses(pod: &Pod) -> Vec<String> {
    let ips = pod.status.iter().flat_map(|status| status.pod_ips.iter().flatten());
    ips.map(|ip| ip.ip.clone()).collect()
}

/// The status of a GET of a URL.
async fn get(url: &str) -> Result<u16> {
    let client = reqwest::Client::builder().no_proxy().build().context("an HTTP client")?;
    Ok(client.get(url).send().await.with_context(|| url.to_owned())?.status().as_u16())
}

#[tokio::test]
async fn the_operator_answers_on_every_address_that_it_has() -> Result<()> {
    with_namespace(async |namespace| {
        let cluster = &namespace.cluster;
        for (component, port, path) in [
            ("gateway", 4444, "/status"),
            ("gateway", 8080, "/readyz"),
            ("controller", 8080, "/healthz"),
        ] {
            for pod in operator::pods(cluster, component).await? {
                let addresses = addresses(&pod);
                ensure!(!addresses.is_empty(), "{} has no address", pod.name_any());
                for ip in addresses {
                    let url = format!("http://{}{path}", authority(&ip, port));
                    assert_eq!(get(&url).await?, 200, "{component} at {url}");
                }
            }
        }
        let labels = "app.kubernetes.io/name=browser-operator,app.kubernetes.io/component=gateway";
        let services = Api::<Service>::all(cluster.client.clone());
        let services = services.list(&ListParams::default().labels(labels)).await?;
        for service in services {
            for ip in service.spec.iter().flat_map(|spec| spec.cluster_ips.iter().flatten()) {
                let url = format!("http://{}/status", authority(ip, 4444));
                let status = eventually(REACHED, async || get(&url).await).await?;
                assert_eq!(status, 200, "{url}");
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_agent_answers_on_every_address_of_its_pod_and_its_session_has_the_first() -> Result<()>
{
    with_namespace(async |namespace| {
        let live = namespace.create_ready("s", json!({})).await?;
        let addresses = addresses(&namespace.pods().get(&live.pod).await?);
        assert_eq!(addresses.first(), Some(&live.ip));
        for ip in addresses {
            let url = format!("http://{}/status", authority(&ip, 4444));
            let status = get(&url).await?;
            ensure!((200..500).contains(&status), "{url}: {status}");
        }
        let object: Value = serde_json::to_value(&live.status)?;
        for field in ["webSocketUrl", "webDriverUrl", "cdpUrl"] {
            let url = object[field].as_str().with_context(|| format!("no {field} in {object}"))?;
            let url: http::Uri = url.parse().with_context(|| format!("{field} is {url}"))?;
            ensure!(url.host().is_some(), "{field} is {url}");
        }
        Ok(())
    })
    .await
}
