//! What happens to a browser's pod, and to the processes in it.

use anyhow::{Context, Result};
use crds::Phase;
use e2e::{
    Namespace, class_like_the_default,
    faults::{Faults, OPERATOR, beside_others},
    kubectl::exec,
    namespace::READY_LIMIT,
};
use kube::api::EvictParams;
use nix::sys::signal::Signal;
use serde_json::json;

use crate::words::{Rows, both, closed, pod_of, told};

/// RFC 6455, section 7.4.1: the server is going away, and it met what it did not expect.
const GOING_AWAY: u16 = 1001;
const INTERNAL_ERROR: u16 = 1011;

/// Kills a process of a session that has a client, and sees what that client and everybody else is told.
async fn killed(
    faults: &Faults,
    namespace: &Namespace,
    browser: &str,
    program: &str,
    word: &str,
) -> Result<()> {
    let name = format!("{browser}-{}", word.to_lowercase());
    let wanted = json!({"browserName": browser, "webSocketUrl": true});
    let spec = json!({"capabilities": {"alwaysMatch": wanted}});
    let live = namespace.create_ready(&name, spec).await?;
    let mut bidi = namespace.cluster.socket(&live.id).await?;
    bidi.context().await?;
    faults.kill(&pod_of(namespace, &live).await?, program, Signal::SIGKILL)?;
    told(namespace, &name, Phase::Failed, word).await?;
    closed(&mut bidi, INTERNAL_ERROR, word).await
}

#[tokio::test]
async fn whatever_is_killed_in_a_pod_its_client_and_its_record_say_what_it_was() -> Result<()> {
    beside_others(async |faults, namespace| {
        let mut rows = Rows::default();
        for (browser, program, word) in [
            ("chrome", "chromium", "BrowserCrashed"),
            ("chrome", "chromedriver", "DriverCrashed"),
            ("chrome", OPERATOR, "AgentLost"),
            ("firefox", "firefox-esr", "BrowserCrashed"),
            ("firefox", "geckodriver", "DriverCrashed"),
            ("firefox", OPERATOR, "AgentLost"),
        ] {
            let outcome = killed(faults, namespace, browser, program, word).await;
            rows.row(&format!("{program} of {browser}"), outcome);
        }
        rows.all()
    })
    .await
}

#[tokio::test]
async fn a_pod_that_is_drained_tells_its_client_so() -> Result<()> {
    beside_others(async |_, namespace| {
        let live = namespace.create_ready("s", both()).await?;
        let mut bidi = namespace.cluster.socket(&live.id).await?;
        bidi.context().await?;
        // What `kubectl drain` does.
        namespace.pods().evict(&live.pod, &EvictParams::default()).await.context("evict")?;
        let mut rows = Rows::default();
        let record = told(namespace, "s", Phase::Failed, "NodeDrained").await.map(drop);
        rows.row("the record", record);
        rows.row("the client", closed(&mut bidi, GOING_AWAY, "NodeDrained").await);
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
                let live = namespace.create_ready("s", spec).await?;
                let mut bidi = cluster.socket(&live.id).await?;
                bidi.context().await?;
                let fill = "head -c 100000000 /dev/zero >/tmp/much";
                exec(&namespace.name, &live.pod, fill).await?;
                // The kubelet measures now and then.
                let reason = crate::words::reason("Evicted")?;
                namespace.reason("s", reason, READY_LIMIT).await?;
                let mut rows = Rows::default();
                let record = told(namespace, "s", Phase::Failed, "Evicted").await.map(drop);
                rows.row("the record", record);
                rows.row("the client", closed(&mut bidi, GOING_AWAY, "Evicted").await);
                rows.all()
            })
            .await
    })
    .await
}
