//! Parts of the control plane go away and come back.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use crds::{Phase, Reason, names::SESSION_UID_LABEL};
use e2e::{
    Classic, Namespace, Reply, class_like_the_default,
    faults::{CONTROL_PLANE, Faults, alone},
    local::OPERATOR,
    namespace::GONE_LIMIT,
    operator,
    wait::{until, until_all},
};
use k8s_openapi::api::core::v1::Pod;
use kube::{ResourceExt, api::ListParams, runtime::watcher::Config};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    sync::Notify,
    time::{Instant, interval},
};

use crate::helpers::{both, ended_everywhere, first_pod, pod_of, ready_at_last, while_driven};

const ETCD: u16 = 2379;

/// Makes sure that the API server does not answer, again and again, for as long as it is to be away.
async fn stays_away(namespace: &Namespace) -> Result<()> {
    let settings = &namespace.cluster.settings;
    let until = Instant::now() + Duration::from_secs(settings.away_seconds);
    let mut pace = interval(Duration::from_secs(1));
    while Instant::now() < until {
        pace.tick().await;
        let answer = namespace.cluster.client.apiserver_version().await;
        ensure!(answer.is_err(), "the API server is not away: {answer:?}");
    }
    Ok(())
}

/// Ends a session as a client does that was lucky enough to get one, or checks that it was told why it has none.
async fn made_or_refused(client: &Classic, reply: &Reply) -> Result<()> {
    if reply.status == 200 {
        let id = reply.body["value"]["sessionId"].as_str().context("sessionId")?;
        client.title(id).await?;
        client.delete(&format!("/session/{id}")).await?;
        println!("the session that was asked for meanwhile was made");
        return Ok(());
    }
    ensure!((reply.status, reply.error()) == (500, "session not created"), "{}", reply.body);
    ensure!(reply.message().contains("API server"), "{}", reply.body);
    println!("the session that was asked for meanwhile was refused: {}", reply.message());
    Ok(())
}

/// Runs a test with a class of the namespace's name, whose browsers may take long to start: after an outage the kubelet
/// and others look for the API server only every half minute.
async fn with_patient_class(
    namespace: &Namespace,
    test: impl AsyncFnOnce() -> Result<()>,
) -> Result<()> {
    let default = namespace.cluster.default_class().await?;
    let patient = json!({"startTimeoutSeconds": 300});
    let class = class_like_the_default(&default, &namespace.name, patient)?;
    namespace.cluster.with_class(&class, test).await
}

#[tokio::test]
async fn sessions_go_on_while_the_api_server_is_away_and_new_ones_come_when_it_is_back()
-> Result<()> {
    alone(async |faults, namespace| {
        with_patient_class(namespace, async || away(faults, namespace).await).await
    })
    .await
}

async fn away(faults: &Faults, namespace: &Namespace) -> Result<()> {
    let client = namespace.client().await?;
    let live = namespace.create_ready("live", both()).await?;
    let left = namespace.create_ready("left", json!({})).await?;
    namespace.create_ready("late", json!({"timeoutSeconds": 10})).await?;
    let wanted = json!({"browserName": "chrome", "browser-operator:class": namespace.name});
    let body = json!({"capabilities": {"alwaysMatch": wanted}});
    while_driven(namespace, &live.id, async || {
        let gone = Notify::new();
        let away = async {
            let meanwhile = async || {
                gone.notify_one();
                client.delete(&format!("/session/{}", left.id)).await?;
                stays_away(namespace).await
            };
            let outcome = faults.without(&CONTROL_PLANE, meanwhile).await;
            gone.notify_one();
            outcome
        };
        let asking = async {
            gone.notified().await;
            client.send(Method::POST, "/session", Some(&body)).await
        };
        let (away, asked) = tokio::join!(away, asking);
        away?;
        let back = Instant::now();
        made_or_refused(&client, &asked?).await?;
        // Whatever happened meanwhile is known now, with the reason that it had.
        ended_everywhere(namespace, "left", Phase::Completed, Reason::ClientEnded).await?;
        ended_everywhere(namespace, "late", Phase::TimedOut, Reason::TimedOut).await?;
        println!("what ended meanwhile was known {:.1?} after", back.elapsed());
        // The kubelet that waited for the API server looks for pods only after up to a minute; a new one does at once.
        faults.without(&["kubelet"], async || Ok(())).await?;
        let id = client.new_session(wanted).await.context("when it is back")?.id;
        println!("and a new session was there {:.1?} after", back.elapsed());
        client.title(&id).await?;
        client.delete(&format!("/session/{id}")).await.map(drop)
    })
    .await?;
    client.delete(&format!("/session/{}", live.id)).await?;
    ended_everywhere(namespace, "live", Phase::Completed, Reason::ClientEnded).await.map(drop)
}

/// What a restarted container would have changed.
fn containers(pod: &Pod) -> Vec<(Option<&String>, i32)> {
    let status = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    status.map(|status| (status.container_id.as_ref(), status.restart_count)).collect()
}

#[tokio::test]
async fn sessions_go_on_while_the_kubelet_is_restarted() -> Result<()> {
    alone(async |faults, namespace| {
        let client = namespace.client().await?;
        let live = namespace.create_ready("live", both()).await?;
        let left = namespace.create_ready("left", json!({})).await?;
        let before = pod_of(namespace, &live).await?;
        while_driven(namespace, &live.id, async || {
            let ending = async || {
                namespace.create("next", json!({})).await?;
                client.delete(&format!("/session/{}", left.id)).await
            };
            faults.without(&["kubelet"], ending).await?;
            ended_everywhere(namespace, "left", Phase::Completed, Reason::ClientEnded).await?;
            namespace.ready("next").await.map(drop)
        })
        .await?;
        let after = pod_of(namespace, &live).await?;
        ensure!(containers(&before) == containers(&after), "{before:?} became {after:?}");
        Ok(())
    })
    .await
}

/// Makes etcd forget everything but the present.
async fn compact(faults: &Faults) -> Result<()> {
    let answer = faults.post(ETCD, "/v3/kv/range", &json!({"key": "AA=="})).await?;
    let revision = &answer["header"]["revision"];
    ensure!(revision.is_string(), "etcd says {answer}");
    let wanted = json!({"revision": revision, "physical": true});
    let answer: Value = faults.post(ETCD, "/v3/kv/compaction", &wanted).await?;
    ensure!(answer["header"].is_object(), "etcd says {answer}");
    Ok(())
}

async fn controller(namespace: &Namespace) -> Result<Pod> {
    let pods = operator::pods(&namespace.cluster, "controller").await?;
    pods.into_iter().next().context("a controller")
}

#[tokio::test]
async fn a_controller_whose_watches_have_expired_catches_up() -> Result<()> {
    alone(async |faults, namespace| {
        with_patient_class(namespace, async || expired(faults, namespace).await).await
    })
    .await
}

async fn expired(faults: &Faults, namespace: &Namespace) -> Result<()> {
    let client = namespace.client().await?;
    let patient = || json!({"className": namespace.name});
    namespace.create_ready("deleted", json!({})).await?;
    let ended = namespace.create_ready("ended", json!({})).await?;
    namespace.create_ready("lost", json!({})).await?;
    let live = namespace.create_ready("live", both()).await?;
    let before = controller(namespace).await?;
    // With the kubelet, which would look for the API server only after a while.
    let machine = [&["kubelet"], CONTROL_PLANE.as_slice()].concat();
    while_driven(namespace, &live.id, async || {
        let meanwhile = async || {
            namespace.delete("deleted").await?;
            namespace.create("new", patient()).await?;
            namespace.create("brief", patient()).await?;
            namespace.delete("brief").await?;
            compact(faults).await?;
            faults.without(&machine, async || Ok(())).await?;
            client.delete(&format!("/session/{}", ended.id)).await?;
            namespace.delete("lost").await?;
            namespace.create("newer", patient()).await?;
            compact(faults).await?;
            for name in ["new", "newer"] {
                let uid = namespace.sessions().get(name).await?.uid().unwrap_or_default();
                let its = ListParams::default().labels(&format!("{SESSION_UID_LABEL}={uid}"));
                let pods = namespace.pods().list(&its).await?.items;
                ensure!(pods.is_empty(), "the controller goes on: {name} has a pod");
            }
            Ok(())
        };
        faults.while_stopped(&before, OPERATOR, meanwhile).await?;
        let back = Instant::now();
        namespace.ended("ended", Phase::Completed, Reason::ClientEnded).await?;
        for name in ["new", "newer"] {
            first_pod(namespace, name).await?;
        }
        println!("the controller had caught up {:.1?} after", back.elapsed());
        for name in ["new", "newer"] {
            ready_at_last(namespace, name).await?;
        }
        // Three sessions live; whatever else was there is gone.
        let ours = Config::default().labels(SESSION_UID_LABEL);
        until_all(&namespace.pods(), ours, "three pods", GONE_LIMIT, |pods| pods.len() == 3)
            .await?;
        until(&namespace.sessions(), "lost", "gone", GONE_LIMIT, |s| s.is_none()).await.map(drop)
    })
    .await?;
    // It caught up by itself, and was not merely started again.
    let after = controller(namespace).await?;
    ensure!(containers(&before) == containers(&after), "{before:?} became {after:?}");
    Ok(())
}
