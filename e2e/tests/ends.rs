//! Every way in which a session ends: its record has the reason, its clients hear it, its pod goes.

use std::time::Duration;

use anyhow::{Context, Result};
use crds::{Phase, Reason};
use e2e::{
    namespace::{END_LIMIT, GONE_LIMIT},
    wait::until,
    with_namespace,
};
use kube::api::DeleteParams;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

#[tokio::test]
async fn a_session_ends_when_its_hard_limit_is_reached() -> Result<()> {
    with_namespace(async |namespace| {
        let live = namespace.create_ready("s", json!({"timeoutSeconds": 6})).await?;
        let mut bidi = namespace.cluster.socket(&live.id).await?;
        let frame = bidi.closed(Duration::from_secs(10)).await?.context("a Close frame")?;
        assert_eq!(frame.reason.as_str(), "TimedOut");
        let ended = namespace.ended("s", Phase::TimedOut, Reason::TimedOut).await?;
        let status = ended.status.context("status")?;
        let lived = status.ended_at.unwrap().0.duration_since(status.started_at.unwrap().0);
        assert!((5..=11).contains(&lived.as_secs()), "it lived for {lived:#}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_session_ends_when_it_is_idle_after_its_first_use() -> Result<()> {
    with_namespace(async |namespace| {
        let live = namespace.create_ready("s", json!({"idleTimeoutSeconds": 2})).await?;
        namespace.cluster.anonymous().title(&live.id).await?;
        namespace.ended("s", Phase::TimedOut, Reason::IdleTimeout).await.map(drop)
    })
    .await
}

#[tokio::test]
async fn a_session_that_nobody_comes_for_ends() -> Result<()> {
    with_namespace(async |namespace| {
        namespace.create_ready("s", json!({"connectTimeoutSeconds": 2})).await?;
        namespace.ended("s", Phase::TimedOut, Reason::NeverConnected).await.map(drop)
    })
    .await
}

#[tokio::test]
async fn delete_session_ends_it_at_once_and_closes_its_sockets() -> Result<()> {
    with_namespace(async |namespace| {
        let live = namespace.create_ready("s", json!({})).await?;
        let mut bidi = namespace.cluster.socket(&live.id).await?;
        bidi.context().await?;
        let (classic, path) = (namespace.cluster.anonymous(), format!("/session/{}", live.id));

        assert_eq!(classic.delete(&path).await?, Value::Null);

        let frame = bidi.closed(Duration::from_secs(2)).await?.context("a Close frame")?;
        assert_eq!(frame.reason.as_str(), "ClientEnded");
        let again = classic.send(Method::DELETE, &path, None).await?;
        assert_eq!((again.status, again.error()), (404, "invalid session id"));
        namespace.ended("s", Phase::Completed, Reason::ClientEnded).await.map(drop)
    })
    .await
}

#[tokio::test]
async fn session_end_is_answered_before_the_end() -> Result<()> {
    with_namespace(async |namespace| {
        let live = namespace.create_ready("s", json!({})).await?;
        let mut bidi = namespace.cluster.socket(&live.id).await?;
        assert_eq!(bidi.command("session.end", json!({})).await?, json!({}));
        bidi.closed(Duration::from_secs(2)).await?;
        namespace.ended("s", Phase::Completed, Reason::ClientEnded).await.map(drop)
    })
    .await
}

#[tokio::test]
async fn browser_close_ends_the_session() -> Result<()> {
    with_namespace(async |namespace| {
        let live = namespace.create_ready("s", json!({})).await?;
        let mut bidi = namespace.cluster.socket(&live.id).await?;
        assert_eq!(bidi.command("browser.close", json!({})).await?, json!({}));
        bidi.closed(Duration::from_secs(2)).await?;
        namespace.ended("s", Phase::Completed, Reason::ClientEnded).await.map(drop)
    })
    .await
}

#[tokio::test]
async fn closing_the_last_window_ends_the_session() -> Result<()> {
    with_namespace(async |namespace| {
        let live = namespace.create_ready("s", json!({})).await?;
        let windows =
            namespace.cluster.anonymous().delete(&format!("/session/{}/window", live.id)).await?;
        assert_eq!(windows, json!([]));
        namespace.ended("s", Phase::Completed, Reason::ClientEnded).await.map(drop)
    })
    .await
}

#[tokio::test]
async fn a_dev_tools_command_that_closes_the_browser_is_no_crash() -> Result<()> {
    with_namespace(async |namespace| {
        for (name, command, why) in [
            ("quits", "Browser.close", "Browser.close"),
            ("closes", "Page.close", "the last window was closed"),
        ] {
            let live = namespace.create_ready(name, json!({})).await?;
            let path = format!("/session/{}/goog/cdp/execute", live.id);
            let execute = json!({"cmd": command, "params": {}});
            let classic = namespace.cluster.anonymous();
            let reply = classic.send(Method::POST, &path, Some(&execute)).await?;
            // chromedriver answers the other one with what it makes of its lost browser.
            assert!(reply.status == 200 || name == "closes", "{}", reply.body);
            let ended = namespace.ended(name, Phase::Completed, Reason::ClientEnded).await?;
            let ready = ended.telling_condition().context("Ready")?;
            assert_eq!(ready.message, why);
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_session_that_lives_by_its_sockets_ends_with_the_last_close_frame() -> Result<()> {
    with_namespace(async |namespace| {
        let live = namespace.create_ready("s", json!({"keepAlive": false})).await?;
        let mut first = namespace.cluster.socket(&live.id).await?;
        let second = namespace.cluster.socket(&live.id).await?;
        second.close().await?;
        first.context().await?;
        first.close().await?;
        namespace.ended("s", Phase::Completed, Reason::Disconnected).await.map(drop)
    })
    .await
}

#[tokio::test]
async fn kubectl_delete_takes_object_and_pod_away_quickly() -> Result<()> {
    with_namespace(async |namespace| {
        let live = namespace.create_ready("s", json!({})).await?;
        let begun = Instant::now();
        e2e::kubectl::kubectl(&["--namespace", &namespace.name, "delete", "bs", "s"]).await?;
        until(&namespace.pods(), &live.pod, "gone", GONE_LIMIT, |pod| pod.is_none()).await?;
        println!("object and pod gone after {:?}", begun.elapsed());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_pod_that_somebody_deletes_ends_its_session() -> Result<()> {
    with_namespace(async |namespace| {
        let live = namespace.create_ready("s", json!({})).await?;
        let mut bidi = namespace.cluster.socket(&live.id).await?;
        bidi.context().await?;
        namespace.pods().delete(&live.pod, &DeleteParams::default()).await?;
        let frame = bidi.closed(END_LIMIT).await?.context("a Close frame")?;
        assert_eq!(frame.reason.as_str(), "PodDeleted");
        namespace.ended("s", Phase::Failed, Reason::PodDeleted).await.map(drop)
    })
    .await
}

#[tokio::test]
async fn a_session_deleted_while_it_starts_leaves_no_pod() -> Result<()> {
    with_namespace(async |namespace| {
        namespace.create("s", json!({})).await?;
        let any = kube::runtime::watcher::Config::default();
        e2e::wait::until_all(&namespace.pods(), any, "a pod", END_LIMIT, |pods| !pods.is_empty())
            .await?;
        namespace.delete("s").await?;
        namespace.nothing_left().await
    })
    .await
}
