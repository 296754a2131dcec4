//! A node is gone for good, with its pods.

use std::time::Duration;

use anyhow::{Context, Result};
use crds::{Phase, Reason};
use e2e::{class_like_the_default, faults::beside_others, finally::finally, wait::until};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, PostParams},
};
use serde_json::json;

use crate::helpers::{ended_everywhere, first_pod};

/// On nodes that only this test has, and in its pods' tolerations.
const GHOST: &str = "browser-operator.io/e2e";
/// The garbage collector of pods looks every 20 s, and waits 40 s for a node to come back.
const COLLECTION_TIMEOUT: Duration = Duration::from_secs(100);
/// How long a pod may take to be placed; a node that is new is not trusted at once.
const SCHEDULING_TIMEOUT: Duration = Duration::from_secs(30);

/// A node without a kubelet, where only pods of these tests are placed.
fn ghost(name: &str) -> Result<Node> {
    let size = json!({"cpu": "4", "memory": "8Gi", "pods": "10", "ephemeral-storage": "100Gi"});
    let node = json!({
        "metadata": {"name": name, "labels": {GHOST: name}},
        "spec": {"taints": [{"key": GHOST, "effect": "NoSchedule"}]},
        "status": {
            "capacity": size,
            "allocatable": size,
            "conditions": [{"type": "Ready", "status": "True", "reason": "Ghost", "message": ""}],
        },
    });
    serde_json::from_value(node).context("a node")
}

#[tokio::test]
async fn a_session_whose_node_is_gone_ends() -> Result<()> {
    beside_others(async |_, namespace| {
        let cluster = &namespace.cluster;
        let nodes = Api::<Node>::all(cluster.client.clone());
        let name = format!("ghost-{}", namespace.name);
        let default = cluster.default_class().await?;
        let regions = json!([{
            "name": "nowhere",
            "nodeSelector": {GHOST: name},
            "tolerations": [{"key": GHOST, "operator": "Exists"}],
        }]);
        let fields = json!({"regions": regions, "startTimeoutSeconds": 600});
        let class = class_like_the_default(&default, &namespace.name, fields)?;
        cluster
            .with_class(&class, async || {
                nodes.create(&PostParams::default(), &ghost(&name)?).await.context("a node")?;
                let placed = async {
                    namespace.create("s", json!({"className": namespace.name})).await?;
                    let pod = first_pod(namespace, "s").await?.name_any();
                    let is_there = |pod: Option<&Pod>| {
                        pod.and_then(|pod| pod.spec.as_ref()?.node_name.as_ref()) == Some(&name)
                    };
                    until(&namespace.pods(), &pod, "placed", SCHEDULING_TIMEOUT, is_there)
                        .await
                        .map(drop)
                };
                let gone = async {
                    nodes.delete(&name, &DeleteParams::default()).await.context("its end")?;
                    Ok(())
                };
                finally(placed, gone).await?;
                namespace.reason("s", Reason::NodeLost, COLLECTION_TIMEOUT).await?;
                ended_everywhere(namespace, "s", Phase::Failed, Reason::NodeLost).await.map(drop)
            })
            .await
    })
    .await
}
