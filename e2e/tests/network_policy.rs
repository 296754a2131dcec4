//! The NetworkPolicies of browsers' pods: there before the first pod, kept as they should be, gone with the last session; and
//! where the cluster enforces them, what a pod reaches whose browser and agent have been taken over.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, ensure};
use crds::{
    Reason,
    names::{CLUSTER_ACCESS_LABEL, MANAGED_BY, MANAGED_BY_LABEL},
};
use e2e::{
    Namespace, agent, class_like_the_default,
    kubectl::exec,
    namespace::{END_LIMIT, Live},
    operator,
    upstream::{self, LISTENER_PORT, PAGE, PAGE_PORT},
    wait::{eventually, until, until_all},
    with_namespace,
};
use k8s_openapi::api::{
    core::v1::{Node, Service},
    networking::v1::NetworkPolicy,
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
    runtime::watcher::Config,
};
use serde_json::{Value, json};

const POLICY_OF_ALL: &str = "browser-operator-browsers-all";
const POLICY_OF_EXPOSED: &str = "browser-operator-browsers-exposed";
/// For a network plugin to act on what has changed.
const ENFORCED: Duration = Duration::from_secs(15);
/// Longer than an idle namespace keeps what it has.
const IDLE_LIMIT: Duration = Duration::from_secs(60);

fn policies(namespace: &Namespace) -> Api<NetworkPolicy> {
    Api::namespaced(namespace.cluster.client.clone(), &namespace.name)
}

/// A spec of the class `NAME-ACCESS`, which a test makes for itself.
async fn with_classes(
    namespace: &Namespace,
    test: impl AsyncFnOnce(&dyn Fn(&str) -> Value) -> Result<()>,
) -> Result<()> {
    let cluster = &namespace.cluster;
    let default = cluster.default_class().await?;
    let name = |access: &str| format!("{}-{access}", namespace.name);
    let class =
        |access| class_like_the_default(&default, &name(access), json!({"clusterAccess": access}));
    let (none, own, all) = (class("none")?, class("namespace")?, class("all")?);
    let spec = |access: &str| json!({"className": name(access)});
    cluster
        .with_class(&none, async || {
            cluster
                .with_class(&own, async || {
                    cluster.with_class(&all, async || test(&spec).await).await
                })
                .await
        })
        .await
}

#[tokio::test]
async fn a_namespace_has_its_policies_from_its_first_pod_to_its_last_session() -> Result<()> {
    with_namespace(async |namespace| {
        let live = namespace.create_ready("s", json!({})).await?;
        let policies = policies(&namespace);
        let policy = policies.get(POLICY_OF_ALL).await.context("a policy")?;
        let pod = namespace.pods().get(&live.pod).await?;
        assert_eq!(pod.labels().get(CLUSTER_ACCESS_LABEL).map(String::as_str), Some("all"));
        ensure!(policy.creation_timestamp() <= pod.creation_timestamp(), "the pod was first");
        // No other pod of the namespace is selected.
        let selector = policy.spec.as_ref().and_then(|spec| spec.pod_selector.clone());
        let selected = selector.and_then(|selector| selector.match_labels).context("labels")?;
        assert_eq!(selected.get(MANAGED_BY_LABEL).map(String::as_str), Some(MANAGED_BY));
        // One that is deleted or changed by hand is put right.
        policies.delete(POLICY_OF_ALL, &DeleteParams::default()).await?;
        let is_back = |seen: Option<&NetworkPolicy>| {
            seen.is_some_and(|seen| seen.uid() != policy.uid() && seen.spec == policy.spec)
        };
        until(&policies, POLICY_OF_ALL, "made again", END_LIMIT, is_back).await?;
        let opened = json!({"spec": {"egress": [{}], "ingress": [{}]}});
        policies.patch(POLICY_OF_ALL, &PatchParams::default(), &Patch::Merge(opened)).await?;
        let is_right = |seen: Option<&NetworkPolicy>| {
            seen.is_some_and(|seen| seen.metadata.generation > Some(2) && seen.spec == policy.spec)
        };
        until(&policies, POLICY_OF_ALL, "put right", END_LIMIT, is_right).await?;
        // Somebody else's stays.
        let theirs: NetworkPolicy = serde_json::from_value(json!({
            "metadata": {"name": "theirs"}, "spec": {"podSelector": {"matchLabels": {"a": "b"}}},
        }))?;
        policies.create(&PostParams::default(), &theirs).await?;
        namespace.delete("s").await?;
        let gone = |all: &BTreeMap<String, NetworkPolicy>| {
            all.values().all(|policy| policy.name_any() == "theirs")
        };
        let left = until_all(&policies, Config::default(), "gone", IDLE_LIMIT, gone).await?;
        assert_eq!(left.len(), 1);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_policy_of_somebody_else_keeps_its_name_and_sessions_say_so() -> Result<()> {
    with_namespace(async |namespace| {
        let policies = policies(&namespace);
        let theirs: NetworkPolicy = serde_json::from_value(json!({
            "metadata": {"name": POLICY_OF_ALL}, "spec": {"podSelector": {"matchLabels": {"a": "b"}}},
        }))?;
        let before = policies.create(&PostParams::default(), &theirs).await?;
        namespace.create("s", json!({})).await?;
        let session = namespace.reason("s", Reason::NetworkPolicyConflict, END_LIMIT).await?;
        let told = session.telling_condition().context("a condition")?;
        ensure!(told.message.contains(POLICY_OF_ALL), "{}", told.message);
        assert!(namespace.pods().list(&ListParams::default()).await?.items.is_empty());
        assert_eq!(policies.get(POLICY_OF_ALL).await?, before);
        policies.delete(POLICY_OF_ALL, &DeleteParams::default()).await?;
        namespace.ready("s").await.map(drop)
    })
    .await
}

/// Whether a pod gets a connection there, by no proxy of anybody.
async fn connects(namespace: &str, pod: &str, host: &str, port: u16) -> Result<bool> {
    let script = format!(
        "timeout 3 bash -c 'exec 3<>/dev/tcp/{host}/{port}' 2>/dev/null && echo open || echo closed"
    );
    Ok(exec(namespace, pod, &script).await?.trim() == "open")
}

/// Waits for it: what a network plugin has not heard of yet is not enforced yet.
async fn expect(live: &Live, namespace: &str, host: &str, port: u16, open: bool) -> Result<()> {
    eventually(ENFORCED, async || {
        let found = connects(namespace, &live.pod, host, port).await?;
        let (is, should) = if found { ("open", "closed") } else { ("closed", "open") };
        ensure!(found == open, "{host}:{port} is {is} to {}, and should be {should}", live.pod);
        Ok(())
    })
    .await
}

async fn ip(namespace: &Namespace, pod: &str) -> Result<String> {
    let pod = namespace.pods().get(pod).await?;
    pod.status.and_then(|status| status.pod_ip).context("a pod's IP")
}

#[tokio::test]
async fn a_pod_that_was_taken_over_reaches_what_its_class_gives_and_nothing_else() -> Result<()> {
    with_namespace(async |other| {
        if !other.cluster.settings.enforces_network_policy {
            println!("left out: ENFORCES_NETWORK_POLICY is not set");
            return Ok(());
        }
        if !upstream::make(&other).await? {
            return Ok(());
        }
        with_namespace(async |own| {
            upstream::make(&own).await?;
            with_classes(&own, async |spec| reaches(&own, &other, spec).await).await
        })
        .await
    })
    .await
}

async fn reaches(own: &Namespace, other: &Namespace, spec: &dyn Fn(&str) -> Value) -> Result<()> {
    let client = own.cluster.client.clone();
    let api = Api::<Service>::namespaced(client.clone(), "default").get("kubernetes").await?;
    let api = api.spec.and_then(|spec| spec.cluster_ip).context("the API server's address")?;
    let node = Api::<Node>::all(client).list(&ListParams::default()).await?;
    let node = node.items.first().and_then(|node| node.status.clone()).context("a node")?;
    let node = node.addresses.unwrap_or_default().into_iter().next().context("its address")?;
    let gateway = operator::addresses(&own.cluster, "gateway").await?;
    let gateway = gateway.first().context("a gateway")?;
    let (own_page, other_page) = (ip(own, PAGE).await?, ip(other, PAGE).await?);
    let named = |namespace: &Namespace| format!("{PAGE}.{}.svc.cluster.local", namespace.name);
    for (access, own_is_open, other_is_open) in
        [("none", false, false), ("namespace", true, false), ("all", true, true)]
    {
        let live = own.create_ready(access, spec(access)).await?;
        let row = async |host: &str, port, open| {
            expect(&live, &own.name, host, port, open).await.with_context(|| access.to_owned())
        };
        // Names are resolved in every class: by the cluster's DNS.
        exec(&own.name, &live.pod, &format!("getent hosts {}", named(other))).await?;
        row(&named(other), PAGE_PORT, other_is_open).await?;
        row(&other_page, PAGE_PORT, other_is_open).await?;
        row(&named(own), PAGE_PORT, own_is_open).await?;
        row(&own_page, PAGE_PORT, own_is_open).await?;
        // Of Kubernetes nothing, of the gateway the port for files; in the class of everything everything.
        row(&api, 443, other_is_open).await?;
        row(&node.address, 10250, other_is_open).await?;
        row(gateway, 4444, true).await?;
        row(gateway, 8080, other_is_open).await?;
        // Nothing by UDP but names.
        let heard = format!("from {access}");
        let send = format!(
            "bash -c 'echo {heard} >/dev/udp/{}/{LISTENER_PORT}'; true",
            upstream::listener_ip(own).await?
        );
        exec(&own.name, &live.pod, &send).await?;
        upstream::tell_listener(own, &format!("after {access}")).await?;
        let log = eventually(ENFORCED, async || {
            let log = upstream::log(own, upstream::LISTENER).await?;
            ensure!(log.contains(&hex(&format!("after {access}"))), "{log}");
            Ok(log)
        })
        .await?;
        ensure!(!log.contains(&hex(&heard)), "{access}: UDP was heard");
        own.delete(access).await?;
    }
    Ok(())
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn only_gateway_and_controller_reach_a_browsers_pod_unless_it_is_exposed() -> Result<()> {
    with_namespace(async |namespace| {
        if !namespace.cluster.settings.enforces_network_policy {
            println!("left out: ENFORCES_NETWORK_POLICY is not set");
            return Ok(());
        }
        if !upstream::make(&namespace).await? {
            return Ok(());
        }
        let hidden = namespace.create_ready("hidden", json!({})).await?;
        let exposed =
            namespace.create_ready("exposed", json!({"expose": {"type": "ClusterIP"}})).await?;
        policies(&namespace).get(POLICY_OF_EXPOSED).await.context("the policy of what is exposed")?;
        for (live, open) in [(&hidden, false), (&exposed, true)] {
            eventually(ENFORCED, async || {
                let script = format!(
                    "perl -MIO::Socket::INET -e 'exit !IO::Socket::INET->new(PeerAddr => \"{}\", PeerPort => 4444, Timeout => 3)' && echo open || echo closed",
                    live.ip
                );
                let found = exec(&namespace.name, PAGE, &script).await?.trim() == "open";
                ensure!(found == open, "{}: {found}", live.pod);
                // A browser is no client of another one, either.
                let found = connects(&namespace.name, &hidden.pod, &live.ip, 4444).await?;
                ensure!(found == (open || live.ip == hidden.ip), "from a browser to {}", live.pod);
                Ok(())
            })
            .await?;
            let title = namespace.cluster.anonymous().title(&live.id).await;
            ensure!(title.is_ok(), "by the gateway: {title:?}");
            // The administrator lets this machine in.
            ensure!(agent::get(&live.ip, "/status").await?.0 < 500, "from outside");
        }
        Ok(())
    })
    .await
}
