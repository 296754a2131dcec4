//! Many sessions, one after another and at once: none is lost, and nothing is left of any.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, ensure};
use crds::{
    BrowserSession,
    names::{MANAGED_BY, MANAGED_BY_LABEL, SESSION_UID_LABEL},
};
use e2e::{
    Bidi, Cluster, Namespace, class_like_the_default,
    local::{connections_of_pod, open_files_of_pod},
    namespace::GONE_LIMIT,
    soak::leftovers::{no_processes_without_pod, no_tunnels, operator_pods},
    wait::{eventually, until_all},
    with_namespace,
};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::{Api, ResourceExt, api::ListParams, runtime::watcher::Config};
use serde_json::json;
use tokio::{sync::Mutex, time::Instant};

const ONE_AFTER_ANOTHER: usize = 20;
const AT_ONCE: usize = 12;
/// As many as a machine with two cores holds; the others wait for their turn.
const CAPACITY: i32 = 5;

/// Where an agent listens.
const AGENT_PORT: u16 = 4444;

/// Both tests count what is in the whole cluster.
static ALONE: Mutex<()> = Mutex::const_new(());

/// Counts that a leak would raise.
struct Before {
    files: BTreeMap<String, usize>,
    services: usize,
}

async fn files(cluster: &Cluster) -> Result<BTreeMap<String, usize>> {
    let pods = operator_pods(cluster).await?;
    let counted =
        pods.iter().filter_map(|pod| Some((pod.name_any(), open_files_of_pod(&pod.uid()?)?)));
    Ok(counted.collect())
}

async fn session_services(cluster: &Cluster) -> Result<usize> {
    let services = Api::<Service>::all(cluster.client.clone());
    let params = ListParams::default().labels(SESSION_UID_LABEL);
    Ok(services.list(&params).await?.items.len())
}

/// Browser pods that are on their way out from earlier tests would count as gone later; sessions that somebody else
/// holds stay as they are.
async fn before(cluster: &Cluster) -> Result<Before> {
    let ours = format!("{MANAGED_BY_LABEL}={MANAGED_BY}");
    let pods = Api::<Pod>::all(cluster.client.clone());
    let leaving = |pod: &Pod| pod.metadata.deletion_timestamp.is_some();
    until_all(&pods, Config::default().labels(&ours), "settled", GONE_LIMIT, |pods| {
        !pods.values().any(leaving)
    })
    .await?;
    Ok(Before { files: files(cluster).await?, services: session_services(cluster).await? })
}

async fn nothing_is_left(namespace: &Namespace, before: &Before) -> Result<()> {
    let cluster = &namespace.cluster;
    namespace.nothing_left().await?;
    assert_eq!(session_services(cluster).await?, before.services, "Services of sessions");
    no_tunnels(cluster).await?;
    let is_here = no_processes_without_pod(cluster).await?;
    if !is_here {
        println!("skipped: the node's processes are not on this machine");
        return Ok(());
    }
    eventually(Duration::from_secs(20), async || {
        for pod in operator_pods(cluster).await? {
            let open = pod.uid().and_then(|uid| connections_of_pod(&uid, AGENT_PORT)).unwrap_or(0);
            ensure!(open == 0, "{} has {open} connections to agents", pod.name_any());
        }
        // Connections to the API server stay for a while: as many as there were requests at once.
        for (pod, now) in files(cluster).await? {
            let then = before.files.get(&pod).copied().with_context(|| format!("{pod} is new"))?;
            ensure!(now <= then + AT_ONCE + 12, "{pod} has {now} open files, {then} before");
        }
        Ok(())
    })
    .await?;
    println!(
        "open files of the operator: before {:?}, after {:?}",
        before.files,
        files(cluster).await?
    );
    Ok(())
}

/// Every session has its record, and all ended because their client wanted it.
async fn none_lost(namespace: &Namespace, made: usize) -> Result<()> {
    let ended = |session: &BrowserSession| {
        session.is_terminal()
            && session
                .telling_condition()
                .is_some_and(|condition| condition.reason == "ClientEnded")
    };
    let all = until_all(&namespace.sessions(), Config::default(), "all ended", GONE_LIMIT, |all| {
        all.values().all(ended)
    })
    .await?;
    assert_eq!(all.len(), made);
    Ok(())
}

fn print_times(what: &str, mut times: Vec<Duration>, whole: Duration) {
    times.sort();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    println!(
        "{what}: {} sessions in {whole:.1?}; each min {:.2?}, median {:.2?}, p90 {:.2?}, max {:.2?}",
        times.len(),
        at(0),
        at(50),
        at(90),
        at(100)
    );
}

#[tokio::test]
async fn sessions_one_after_another_leave_nothing() -> Result<()> {
    let _alone = ALONE.lock().await;
    with_namespace(async |namespace| {
        let (client, page) = (namespace.client().await?, namespace.cluster.page("/"));
        // The first session creates what stays: the namespace's Service, connections, buffers.
        let id = client.new_session(json!({})).await?.id;
        client.delete(&format!("/session/{id}")).await?;
        namespace.nothing_left().await?;
        let before = before(&namespace.cluster).await?;

        let (begun, mut times) = (Instant::now(), Vec::new());
        for _ in 0..ONE_AFTER_ANOTHER {
            let one = Instant::now();
            let id = client.new_session(json!({})).await?.id;
            client.open(&id, &page).await?;
            assert_eq!(client.title(&id).await?, "browser-operator");
            client.delete(&format!("/session/{id}")).await?;
            times.push(one.elapsed());
        }
        print_times("one after another", times, begun.elapsed());

        none_lost(&namespace, ONE_AFTER_ANOTHER + 1).await?;
        nothing_is_left(&namespace, &before).await
    })
    .await
}

async fn over_bidi(namespace: &Namespace, token: &str, class: &str, page: &str) -> Result<()> {
    let url = namespace.cluster.bare_socket_url();
    let mut bidi = Bidi::connect_as(&url, Some(token)).await?;
    let capabilities = json!({"alwaysMatch": {"browser-operator:class": class}});
    bidi.command("session.new", json!({"capabilities": capabilities})).await?;
    let context = bidi.open(page).await?;
    assert_eq!(bidi.evaluate(&context, "document.title").await?, "browser-operator");
    bidi.command("session.end", json!({})).await?;
    bidi.closed(Duration::from_secs(10)).await.map(drop)
}

#[tokio::test]
async fn many_sessions_at_once_leave_nothing() -> Result<()> {
    let _alone = ALONE.lock().await;
    with_namespace(async |namespace| {
        let page = namespace.cluster.page("/");
        let token = namespace.runner().await?;
        let client =
            e2e::Classic::new(&namespace.cluster.settings.gateway_url, Some(token.clone()));
        let default = namespace.cluster.default_class().await?;
        let class =
            class_like_the_default(&default, &namespace.name, json!({"capacity": CAPACITY}))?;
        let before = before(&namespace.cluster).await?;
        namespace
            .cluster
            .with_class(&class, async || {
                let begun = Instant::now();
                let one = async |number: usize| -> Result<Duration> {
                    if number.is_multiple_of(2) {
                        over_bidi(&namespace, &token, &namespace.name, &page).await?;
                    } else {
                        let wanted = json!({"browser-operator:class": namespace.name});
                        let id = client.new_session(wanted).await?.id;
                        client.open(&id, &page).await?;
                        assert_eq!(client.title(&id).await?, "browser-operator");
                        client.delete(&format!("/session/{id}")).await?;
                    }
                    Ok(begun.elapsed())
                };
                let all = stream::iter((0..AT_ONCE).map(one)).buffer_unordered(AT_ONCE);
                let times: Vec<Duration> = all.try_collect().await?;
                print_times("at once", times, begun.elapsed());
                none_lost(&namespace, AT_ONCE).await?;
                nothing_is_left(&namespace, &before).await
            })
            .await
    })
    .await
}
