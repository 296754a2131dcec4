//! A gateway of a test's own: the operator's own pod under other flags, which no Service selects.

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt, api::DeleteParams};

use crate::{Classic, Namespace, authority, operator};

/// A replica beside the operator's own.
pub struct Gateway {
    pods: Api<Pod>,
    pub name: String,
    pub ip: String,
    token: String,
}

/// Runs a test with a gateway whose flags are the operator's but for those in `flags`, each as `--name=value`, or as
/// `--name` to leave it out. It is deleted after the test.
pub async fn with_gateway(
    namespace: &Namespace,
    flags: &[&str],
    test: impl AsyncFnOnce(&Gateway) -> Result<()>,
) -> Result<()> {
    let gateway = Gateway::start(namespace, flags).await?;
    let outcome = test(&gateway).await;
    gateway.stop().await?;
    outcome
}

impl Gateway {
    async fn start(namespace: &Namespace, flags: &[&str]) -> Result<Self> {
        let token = namespace.runner().await?;
        let (pods, pod) = operator::start_copy(&namespace.cluster, "gateway", flags).await?;
        let (name, ip) = (pod.name_any(), pod.status.and_then(|status| status.pod_ip));
        Ok(Self { pods, name, ip: ip.context("its address")?, token })
    }

    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", authority(&self.ip, 4444))
    }

    #[must_use]
    pub fn socket_url(&self, path: &str) -> String {
        format!("ws://{}{path}", authority(&self.ip, 4444))
    }

    /// A token that may make sessions in the test's namespace.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// A client that may make sessions in the test's namespace.
    #[must_use]
    pub fn client(&self) -> Classic {
        Classic::new(&self.url(), Some(self.token.clone()))
    }

    /// Sends SIGTERM, as Kubernetes does. It runs on until its drain is over.
    pub async fn stop(&self) -> Result<()> {
        match self.pods.delete(&self.name, &DeleteParams::default()).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(error).context("end the gateway"),
        }
    }
}
