//! Admission when capacity is short: the order, the positions, and what a restart does to them.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, ensure};
use crds::{BrowserClass, BrowserSession, Phase, Reason};
use e2e::{
    Namespace, class_like_the_default,
    namespace::{END_LIMIT, READY_LIMIT},
    operator,
    wait::{until, until_all},
    with_namespace,
};
use k8s_openapi::api::core::v1::ResourceQuota;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
    runtime::watcher::Config,
};
use serde_json::{Value, json};

/// How many the big namespace submits, and the small one.
const BIG: usize = 200;
const SMALL: usize = 5;
/// How many may live at a time in the fairness test.
const CAPACITY: usize = 4;
/// How long the small one's sessions may take to be served, while the big one's go on: ten rounds on a busy machine.
const SERVED_TIMEOUT: Duration = Duration::from_secs(150);

/// A class of the echo driver, whose sessions come and go fast, with so many places; `None` where there is no image.
async fn small_class(namespace: &Namespace, capacity: usize) -> Result<Option<BrowserClass>> {
    let image = &namespace.cluster.settings.echo_image;
    if image.is_empty() {
        println!("left out: ECHO_IMAGE is empty");
        return Ok(None);
    }
    let default = namespace.cluster.default_class().await?;
    let fields = json!({
        "versions": [{"version": "1.0", "image": image}],
        "sandbox": "container",
        "resources": {"requests": {"cpu": "20m", "memory": "32Mi"}, "limits": {"memory": "256Mi"}},
        "capacity": capacity,
    });
    class_like_the_default(&default, &namespace.name, fields).map(Some)
}

/// When a session became Ready, if it has.
fn started(session: &BrowserSession) -> Option<String> {
    let started = session.status.as_ref()?.started_at.as_ref()?;
    Some(started.0.to_string())
}

fn position(session: &BrowserSession) -> Option<i32> {
    session.status.as_ref()?.queue_position
}

#[tokio::test]
async fn one_namespace_does_not_starve_another() -> Result<()> {
    with_namespace(async |big| {
        let Some(class) = small_class(&big, CAPACITY).await? else { return Ok(()) };
        with_namespace(async |small| {
            big.cluster
                .with_class(&class, async || {
                    // Each lives for a second: the class is always full, and always moves.
                    let spec = json!({
                        "className": big.name, "timeoutSeconds": 1, "priority": 1000,
                        "capabilities": {},
                    });
                    for number in 0..BIG {
                        big.create(&format!("b{number:03}"), spec.clone()).await?;
                    }
                    let full = |all: &BTreeMap<String, BrowserSession>| {
                        all.values().filter(|session| started(session).is_some()).count()
                            >= CAPACITY
                    };
                    until_all(
                        &big.sessions(),
                        Config::default(),
                        "the class is full",
                        READY_LIMIT,
                        full,
                    )
                    .await?;
                    let before = big.sessions().list(&ListParams::default()).await?;
                    let before = before.iter().filter(|session| started(session).is_some()).count();
                    let spec =
                        json!({"className": big.name, "timeoutSeconds": 1, "capabilities": {}});
                    for number in 0..SMALL {
                        small.create(&format!("s{number}"), spec.clone()).await?;
                    }
                    let served = |all: &BTreeMap<String, BrowserSession>| {
                        all.values().filter(|session| session.is_terminal()).count() == SMALL
                    };
                    let all = until_all(
                        &small.sessions(),
                        Config::default(),
                        "served",
                        SERVED_TIMEOUT,
                        served,
                    )
                    .await?;
                    let last = all.values().filter_map(started).max().context("none started")?;
                    for session in all.values() {
                        let reason = &session.telling_condition().context("Ready")?.reason;
                        ensure!(reason == Reason::TimedOut.as_str(), "{reason}");
                    }
                    let others = big.sessions().list(&ListParams::default()).await?;
                    let since = others
                        .iter()
                        .filter_map(started)
                        .filter(|at| *at <= last)
                        .count()
                        .saturating_sub(before);
                    println!("while the {SMALL} were served, {since} of the other {BIG} were");
                    // Half of the class is theirs: as many of the others are admitted meanwhile, and those that were before.
                    ensure!(
                        since <= 2 * SMALL + CAPACITY,
                        "{since} of the others were served before"
                    );
                    // What still waits need not be served.
                    big.sessions()
                        .delete_collection(&DeleteParams::default(), &ListParams::default())
                        .await?;
                    Ok(())
                })
                .await
        })
        .await
    })
    .await
}

#[tokio::test]
async fn the_queue_is_the_objects_and_survives_a_restart() -> Result<()> {
    with_namespace(async |namespace| {
        let Some(class) = small_class(&namespace, 1).await? else { return Ok(()) };
        namespace
            .cluster
            .with_class(&class, async || {
                let spec = |priority: i32| {
                    json!({"className": namespace.name, "priority": priority, "capabilities": {}})
                };
                let first = namespace.create_ready("first", spec(0)).await?;
                for (name, priority) in [("low", -5), ("left", 9), ("old", 0), ("urgent", 7)] {
                    namespace.create(name, spec(priority)).await?;
                    let is_told = |session: Option<&BrowserSession>| {
                        session.is_some_and(|session| position(session).is_some())
                    };
                    let told =
                        until(&namespace.sessions(), name, "a position", END_LIMIT, is_told)
                            .await?
                            .context("it is there")?;
                    let ready = told.telling_condition().context("Ready")?;
                    assert_eq!(ready.reason, Reason::CapacityReached.as_str());
                    let words = format!("position in the queue: {}", position(&told).context("one")?);
                    ensure!(ready.message.contains(&words), "{}", ready.message);
                }
                // A client that leaves gives up its place.
                let end = json!({"metadata": {"annotations": {crds::names::END_ANNOTATION: "ClientGaveUp"}}});
                namespace
                    .sessions()
                    .patch_metadata("left", &PatchParams::default(), &Patch::Merge(end))
                    .await?;
                namespace.ended("left", Phase::Completed, Reason::ClientGaveUp).await?;

                operator::restart(&namespace.cluster, "controller").await?;
                let mut live = first;
                for name in ["urgent", "old", "low"] {
                    namespace.cluster.anonymous().delete(&format!("/session/{}", live.id)).await?;
                    live = namespace.ready(name).await?;
                    let all = namespace.sessions().list(&ListParams::default()).await?;
                    let waiting: Vec<String> = all
                        .iter()
                        .filter(|s| !s.is_ready() && !s.is_terminal())
                        .map(ResourceExt::name_any)
                        .collect();
                    println!("{name} is served, and there wait {waiting:?}");
                    ensure!(position(&namespace.sessions().get(name).await?).is_none(), "{name}");
                }
                Ok(())
            })
            .await
    })
    .await
}

#[tokio::test]
async fn a_quota_makes_sessions_wait_and_holds_up_nobody_else() -> Result<()> {
    with_namespace(async |namespace| {
        let Some(class) = small_class(&namespace, 8).await? else { return Ok(()) };
        with_namespace(async |other| {
            let quotas =
                Api::<ResourceQuota>::namespaced(namespace.cluster.client.clone(), &namespace.name);
            let quota: ResourceQuota = serde_json::from_value(json!({
                "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "pods"},
                "spec": {"hard": {"pods": "1"}},
            }))?;
            quotas.create(&PostParams::default(), &quota).await?;
            let in_force = |quota: Option<&ResourceQuota>| {
                let hard = quota.and_then(|quota| quota.status.as_ref()?.hard.as_ref());
                hard.is_some_and(|hard| hard.contains_key("pods"))
            };
            until(&quotas, "pods", "in force", END_LIMIT, in_force).await?;
            namespace
                .cluster
                .with_class(&class, async || {
                    let spec: Value = json!({"className": namespace.name, "capabilities": {}});
                    let first = namespace.create_ready("first", spec.clone()).await?;
                    for name in ["second", "third"] {
                        namespace.create(name, spec.clone()).await?;
                        let held = namespace.reason(name, Reason::QuotaExceeded, END_LIMIT).await?;
                        assert_eq!(
                            held.status.as_ref().and_then(|s| s.phase),
                            Some(Phase::Pending)
                        );
                    }
                    other.create_ready("other", spec.clone()).await?;

                    // The controller after the restart knows whose turn it is.
                    operator::restart(&namespace.cluster, "controller").await?;
                    let client = namespace.cluster.anonymous();
                    client.delete(&format!("/session/{}", first.id)).await?;
                    let second = namespace.ready("second").await?;
                    client.delete(&format!("/session/{}", second.id)).await?;
                    namespace.ready("third").await?;
                    Ok(())
                })
                .await
        })
        .await
    })
    .await
}

/// A class says where its regions are, by labels and affinity; a session says which one it wants.
#[tokio::test]
async fn a_region_places_the_pod_and_stands_in_the_status() -> Result<()> {
    with_namespace(async |namespace| {
        let Some(mut class) = small_class(&namespace, 8).await? else { return Ok(()) };
        let on = |operator: &str| {
            json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [{
                    "key": "kubernetes.io/os", "operator": operator, "values": ["linux"],
                }]}],
            }}})
        };
        class.spec.regions = serde_json::from_value(json!([
            {"name": "nowhere", "affinity": on("NotIn")},
            {"name": "here", "nodeSelector": {"kubernetes.io/os": "linux"}, "affinity": on("In")},
        ]))?;
        class.spec.default_region = Some("here".to_owned());
        namespace
            .cluster
            .with_class(&class, async || {
                let spec = json!({"className": namespace.name, "capabilities": {}});
                let live = namespace.create_ready("default", spec).await?;
                let session = namespace.sessions().get("default").await?;
                assert_eq!(session.status.and_then(|s| s.region).as_deref(), Some("here"));
                let pod = namespace.pods().get(&live.pod).await?;
                ensure!(pod.spec.is_some_and(|spec| spec.affinity.is_some()), "no affinity");
                let spec =
                    json!({"className": namespace.name, "region": "nowhere", "capabilities": {}});
                namespace.create("nowhere", spec).await?;
                let held = namespace.reason("nowhere", Reason::Unschedulable, END_LIMIT).await?;
                assert_eq!(held.status.and_then(|s| s.region).as_deref(), Some("nowhere"));
                Ok(())
            })
            .await
    })
    .await
}
