//! A gateway of a test's own: the operator's own pod under other flags, which no Service selects.

use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, PostParams},
};

use crate::{Classic, Namespace, operator, wait::until};

/// How long it may take to be ready.
const READY: Duration = Duration::from_secs(30);

/// A replica beside the operator's own.
pub struct Gateway {
    pods: Api<Pod>,
    /// Its pod's name.
    pub name: String,
    /// Its pod's address.
    pub ip: String,
    token: String,
}

/// Runs a test with a gateway whose flags are the operator's but for those in `flags`, each as `--name=value`, or as
/// `--name` to leave it out. It is deleted after the test.
///
/// # Errors
/// It does not come up, or the test fails.
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
        let cluster = &namespace.cluster;
        let own = operator::pods(cluster, "gateway").await?;
        let own = own.into_iter().next().context("a gateway")?;
        let operator = own.namespace().context("its namespace")?;
        let mut spec = own.spec.context("its spec")?;
        spec.node_name = None;
        // The API server adds these to every pod.
        let is_token = |name: &str| name.starts_with("kube-api-access-");
        spec.volumes.iter_mut().for_each(|volumes| volumes.retain(|v| !is_token(&v.name)));
        for container in &mut spec.containers {
            container.lifecycle = None;
            container
                .volume_mounts
                .iter_mut()
                .for_each(|mounts| mounts.retain(|mount| !is_token(&mount.name)));
            let arguments = container.args.get_or_insert_default();
            for flag in flags {
                let name = flag.split('=').next().unwrap_or(flag);
                arguments.retain(|argument| argument.split('=').next() != Some(name));
            }
            let set = flags.iter().filter(|flag| flag.contains('='));
            arguments.extend(set.map(|flag| (*flag).to_owned()));
        }
        let pod = Pod {
            metadata: ObjectMeta {
                generate_name: Some("e2e-gateway-".to_owned()),
                labels: Some([("browser-operator.io/e2e".to_owned(), "true".to_owned())].into()),
                ..ObjectMeta::default()
            },
            spec: Some(spec),
            status: None,
        };
        let pods = Api::<Pod>::namespaced(cluster.client.clone(), &operator);
        let made = pods.create(&PostParams::default(), &pod).await.context("make a gateway")?;
        let name = made.name_any();
        let is_ready = |pod: Option<&Pod>| {
            let conditions = pod.and_then(|pod| pod.status.as_ref()?.conditions.as_ref());
            conditions
                .is_some_and(|all| all.iter().any(|c| c.type_ == "Ready" && c.status == "True"))
        };
        let ready = until(&pods, &name, "ready", READY, is_ready).await;
        let ip = ready.map(|pod| pod.and_then(|pod| pod.status?.pod_ip));
        match ip {
            Ok(Some(ip)) => Ok(Self { pods, name, ip, token }),
            other => {
                pods.delete(&name, &DeleteParams::default()).await?;
                other?.context("its address")?;
                anyhow::bail!("it has an address and none")
            }
        }
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}:4444", self.ip)
    }

    /// Its URL for sockets.
    #[must_use]
    pub fn socket_url(&self, path: &str) -> String {
        format!("ws://{}:4444{path}", self.ip)
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

    /// Tells it to end, as Kubernetes does. It goes on until its drain is over.
    ///
    /// # Errors
    /// The API server's refusal.
    pub async fn stop(&self) -> Result<()> {
        match self.pods.delete(&self.name, &DeleteParams::default()).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(error).context("end the gateway"),
        }
    }
}
