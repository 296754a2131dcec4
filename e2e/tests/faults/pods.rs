//! Faults of a browser's pod and its processes.

use anyhow::{Context, Result, ensure};
use crds::{Phase, Reason};
use e2e::{
    Namespace, class_like_the_default,
    faults::{Faults, beside_others},
    kubectl::exec,
    local::{OPERATOR, process_of_pod},
    namespace::{END_LIMIT, Live, READY_LIMIT},
    wait::eventually,
};
use k8s_openapi::api::core::v1::Pod;
use kube::{ResourceExt, api::EvictParams};
use nix::sys::signal::Signal;
use serde_json::json;

use crate::helpers::{Rows, both, closed, ended_everywhere, pod_of, with_client};

/// RFC 6455, section 7.4.1: the server is going away, and it met what it did not expect.
const GOING_AWAY: u16 = 1001;
const INTERNAL_ERROR: u16 = 1011;

/// Kills a process of a session that has a client, and sees what that client and everybody else is told.
async fn killed(
    faults: &Faults,
    namespace: &Namespace,
    browser: &str,
    program: &str,
    reason: Reason,
) -> Result<()> {
    let name = format!("{browser}-{}", reason.as_str().to_lowercase());
    let wanted = json!({"browserName": browser, "webSocketUrl": true});
    let spec = json!({"capabilities": {"alwaysMatch": wanted}});
    let (live, mut bidi) = with_client(namespace, &name, spec).await?;
    faults.kill(&pod_of(namespace, &live).await?, program, Signal::SIGKILL)?;
    ended_everywhere(namespace, &name, Phase::Failed, reason).await?;
    closed(&mut bidi, INTERNAL_ERROR, reason).await
}

#[tokio::test]
async fn whatever_is_killed_in_a_pod_its_client_and_its_record_say_what_it_was() -> Result<()> {
    beside_others(async |faults, namespace| {
        let mut rows = Rows::default();
        for (browser, program, reason) in [
            ("chrome", "chromium", Reason::BrowserCrashed),
            ("chrome", "chromedriver", Reason::DriverCrashed),
            ("chrome", OPERATOR, Reason::AgentLost),
            ("firefox", "firefox-esr", Reason::BrowserCrashed),
            ("firefox", "geckodriver", Reason::DriverCrashed),
            ("firefox", OPERATOR, Reason::AgentLost),
        ] {
            let outcome = killed(faults, namespace, browser, program, reason).await;
            rows.row(&format!("{program} of {browser}"), outcome);
        }
        rows.all()
    })
    .await
}

/// Something happens to a session without BiDi of each browser, whose process runs that program: it ends for that.
async fn each_ends(
    namespace: &Namespace,
    phase: Phase,
    reason: Reason,
    happens: impl AsyncFn(&Live, &Pod, &str) -> Result<()>,
) -> Result<()> {
    let mut rows = Rows::default();
    for (browser, program) in [("chrome", "chromium"), ("firefox", "firefox-esr")] {
        let outcome = async {
            let spec = json!({"capabilities": {"alwaysMatch": {"browserName": browser}}});
            let live = namespace.create_ready(browser, spec).await?;
            happens(&live, &pod_of(namespace, &live).await?, program).await?;
            ended_everywhere(namespace, browser, phase, reason).await.map(drop)
        };
        rows.row(browser, outcome.await);
    }
    rows.all()
}

/// Nobody asks the driver anything, and no socket breaks.
#[tokio::test]
async fn a_browser_that_is_killed_ends_a_session_that_nobody_uses() -> Result<()> {
    beside_others(async |faults, namespace| {
        each_ends(namespace, Phase::Failed, Reason::BrowserCrashed, async |_, pod, program| {
            faults.kill(pod, program, Signal::SIGKILL)
        })
        .await
    })
    .await
}

/// The driver takes the browser away, and answers some time after that; a client may have left by then.
#[tokio::test]
async fn a_last_window_that_is_closed_is_no_crash_whoever_hears_of_it() -> Result<()> {
    beside_others(async |_, namespace| {
        each_ends(namespace, Phase::Completed, Reason::ClientEnded, async |live, pod, program| {
            let uid = pod.uid().context("the pod's uid")?;
            ensure!(process_of_pod(&uid, program).is_some(), "there is no {program}");
            let (classic, path) =
                (namespace.cluster.anonymous(), format!("/session/{}/window", live.id));
            let gone = eventually(END_LIMIT, async || {
                ensure!(process_of_pod(&uid, program).is_none(), "{program} is there");
                Ok(())
            });
            tokio::select! {
                windows = classic.delete(&path) => assert_eq!(windows?, json!([])),
                gone = gone => gone?,
            }
            Ok(())
        })
        .await
    })
    .await
}

#[tokio::test]
async fn a_pod_that_is_drained_tells_its_client_so() -> Result<()> {
    beside_others(async |_, namespace| {
        let (live, mut bidi) = with_client(namespace, "s", both()).await?;
        // As `kubectl drain` does.
        namespace.pods().evict(&live.pod, &EvictParams::default()).await.context("evict")?;
        let mut rows = Rows::default();
        let record =
            ended_everywhere(namespace, "s", Phase::Failed, Reason::NodeDrained).await.map(drop);
        rows.row("the record", record);
        rows.row("the client", closed(&mut bidi, GOING_AWAY, Reason::NodeDrained).await);
        rows.all()
    })
    .await
}

#[tokio::test]
async fn a_pod_that_writes_more_than_its_class_allows_is_evicted_and_its_client_told() -> Result<()>
{
    beside_others(async |_, namespace| {
        let cluster = &namespace.cluster;
        let default = cluster.default_class().await?;
        let class = class_like_the_default(&default, &namespace.name, json!({"scratch": "64Mi"}))?;
        cluster
            .with_class(&class, async || {
                let mut spec = both();
                spec["className"] = json!(namespace.name);
                let (live, mut bidi) = with_client(namespace, "s", spec).await?;
                let fill = "head -c 100000000 /dev/zero >/tmp/much";
                exec(&namespace.name, &live.pod, fill).await?;
                // The kubelet measures now and then.
                namespace.reason("s", Reason::Evicted, READY_LIMIT).await?;
                let mut rows = Rows::default();
                let record = ended_everywhere(namespace, "s", Phase::Failed, Reason::Evicted)
                    .await
                    .map(drop);
                rows.row("the record", record);
                rows.row("the client", closed(&mut bidi, GOING_AWAY, Reason::Evicted).await);
                rows.all()
            })
            .await
    })
    .await
}
