//! What pipelines and people read in a session's conditions, and what changes them that is not the operator's.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use crds::{
    BrowserSession, Phase, Reason,
    conditions::{FINISHED, READY, STALLED},
};
use e2e::{
    kubectl::{kubectl, kubectl_with},
    wait::until,
    with_namespace,
};
use kube::api::{Patch, PatchParams};
use serde_json::json;

const END_LIMIT: Duration = Duration::from_secs(30);

fn manifest(namespace: &str, capabilities: serde_json::Value) -> String {
    json!({
        "apiVersion": "browser-operator.io/v1alpha1", "kind": "BrowserSession",
        "metadata": {"name": "s", "namespace": namespace},
        "spec": {"className": "no-such-class", "capabilities": capabilities},
    })
    .to_string()
}

#[tokio::test]
async fn a_new_object_is_in_progress_in_the_answer_to_its_creation() -> Result<()> {
    with_namespace(async |namespace| {
        let created = kubectl_with(
            &["create", "-o", "json", "-f", "-"],
            &manifest(&namespace.name, json!({})),
        )
        .await?;
        let created: BrowserSession = serde_json::from_str(&created)?;
        let ready = created.condition(READY).context("Ready")?;
        ensure!(ready.status == "Unknown" && ready.reason == "Pending", "{ready:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn after_a_good_end_a_session_is_finished_and_no_longer_ready() -> Result<()> {
    with_namespace(async |namespace| {
        let live = namespace.create_ready("s", json!({})).await?;
        namespace.cluster.anonymous().delete(&format!("/session/{}", live.id)).await?;
        let ended = namespace.ended("s", Phase::Completed, Reason::ClientEnded).await?;
        ensure!(ended.condition(READY).is_none() && ended.condition(STALLED).is_none());
        let shown = kubectl(&["--namespace", &namespace.name, "get", "bs", "s"]).await?;
        ensure!(shown.contains("ClientEnded"), "{shown}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_deletion_that_somebodys_finalizer_holds_back_is_an_end() -> Result<()> {
    with_namespace(async |namespace| {
        namespace.create_ready("s", json!({})).await?;
        let finalizers = async |names: serde_json::Value| {
            let patch = Patch::Merge(json!({"metadata": {"finalizers": names}}));
            namespace.sessions().patch("s", &PatchParams::default(), &patch).await
        };
        finalizers(json!(["example.com/hold"])).await?;
        namespace.delete("s").await?;
        let ended = until(&namespace.sessions(), "s", "ended", END_LIMIT, |session| {
            session.is_some_and(BrowserSession::is_terminal)
        })
        .await;
        finalizers(json!(null)).await?;
        let ended = ended?.context("it was held")?;
        let finished = ended.condition(FINISHED).context("Finished")?;
        ensure!(finished.reason == Reason::Deleted.as_str(), "{finished:?}");
        namespace.pod_gone(&ended).await
    })
    .await
}

#[tokio::test]
async fn null_in_capabilities_is_no_change_between_create_and_apply() -> Result<()> {
    with_namespace(async |namespace| {
        let capabilities = json!({
            "alwaysMatch": {"browserName": null, "pageLoadStrategy": null, "timeouts": null, "proxy": null},
            "firstMatch": [{"browserVersion": null, "unhandledPromptBehavior": null}],
        });
        let manifest = manifest(&namespace.name, capabilities);
        kubectl_with(&["create", "-f", "-"], &manifest).await?;
        for _ in 0..2 {
            kubectl_with(&["apply", "-f", "-"], &manifest).await?;
        }
        Ok(())
    })
    .await
}
