//! Faults of a browser's node.

use anyhow::{Context, Result, ensure};
use crds::{Phase, Reason};
use e2e::{
    Namespace, class_like_the_default, faults::alone, finally::finally, namespace::END_LIMIT,
};
use k8s_openapi::api::core::v1::Node;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::helpers::{Rows, both, closed, ended_everywhere, event, while_driven, with_client};

/// RFC 6455, section 7.4.1.
const GOING_AWAY: u16 = 1001;

async fn change(namespace: &Namespace, node: &str, spec: Value) -> Result<()> {
    let nodes = Api::<Node>::all(namespace.cluster.client.clone());
    let change = Patch::Merge(json!({"spec": spec}));
    let changed = nodes.patch(node, &PatchParams::default(), &change).await;
    changed.with_context(|| format!("change node {node}"))?;
    Ok(())
}

#[tokio::test]
async fn a_cordoned_node_keeps_its_sessions_and_new_ones_wait() -> Result<()> {
    alone(async |_, namespace| {
        let live = namespace.create_ready("live", both()).await?;
        let node = live.status.node_name.as_deref().context("nodeName")?;
        while_driven(namespace, &live.id, async || {
            change(namespace, node, json!({"unschedulable": true})).await?;
            let cordoned = async {
                namespace.create("s", json!({})).await?;
                namespace.reason("s", Reason::Unschedulable, END_LIMIT).await?;
                event(namespace, "s", Reason::Unschedulable).await
            };
            finally(cordoned, change(namespace, node, json!({"unschedulable": null}))).await?;
            namespace.ready("s").await.map(drop)
        })
        .await
    })
    .await
}

#[tokio::test]
async fn a_session_whose_node_is_out_of_reach_ends_and_its_client_is_told() -> Result<()> {
    alone(async |faults, namespace| {
        let cluster = &namespace.cluster;
        let default = cluster.default_class().await?;
        // Kubernetes' own rule is five minutes.
        let unreachable = "node.kubernetes.io/unreachable";
        let at_once = json!({
            "key": unreachable, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 0,
        });
        let regions = json!([{"name": "here", "tolerations": [at_once]}]);
        let class = class_like_the_default(&default, &namespace.name, json!({"regions": regions}))?;
        cluster
            .with_class(&class, async || {
                let mut spec = both();
                spec["className"] = json!(namespace.name);
                let (live, mut bidi) = with_client(namespace, "s", spec).await?;
                let node = live.status.node_name.as_deref().context("nodeName")?;
                let taint = json!([{"key": unreachable, "effect": "NoExecute"}]);
                let mut rows = Rows::default();
                let lost = async || {
                    change(namespace, node, json!({"taints": taint})).await?;
                    let record = async {
                        namespace.reason("s", Reason::NodeLost, END_LIMIT).await.map(drop)
                    };
                    rows.row("the record", record.await);
                    rows.row("the client", closed(&mut bidi, GOING_AWAY, Reason::NodeLost).await);
                    Ok(())
                };
                let outcome = faults.without(&["kubelet"], lost).await;
                change(namespace, node, json!({"taints": null})).await?;
                outcome?;
                // It comes back, and finds that its pod is to be deleted.
                let end = ended_everywhere(namespace, "s", Phase::Failed, Reason::NodeLost)
                    .await
                    .map(drop);
                rows.row("the end", end);
                rows.all()
            })
            .await
    })
    .await
}

/// No container ever runs: that is the node's fault, and not the agent's.
#[tokio::test]
async fn a_session_whose_kubelet_does_not_take_its_pod_names_the_node() -> Result<()> {
    alone(async |faults, namespace| {
        let cluster = &namespace.cluster;
        let default = cluster.default_class().await?;
        let class = class_like_the_default(
            &default,
            &namespace.name,
            json!({"scheduleTimeoutSeconds": 6}),
        )?;
        cluster
            .with_class(&class, async || {
                faults
                    .without(&["kubelet"], async || {
                        namespace.create("s", json!({"className": namespace.name})).await?;
                        let ended =
                            namespace.reason("s", Reason::NodeUnresponsive, END_LIMIT).await?;
                        let message = &ended.telling_condition().context("why")?.message;
                        let limit =
                            format!("scheduleTimeoutSeconds: 6 of class {}", namespace.name);
                        for words in ["the kubelet has not taken the pod on node ", &limit] {
                            ensure!(message.contains(words), "{message}");
                        }
                        Ok(())
                    })
                    .await?;
                namespace.ended("s", Phase::Failed, Reason::NodeUnresponsive).await.map(drop)
            })
            .await
    })
    .await
}
