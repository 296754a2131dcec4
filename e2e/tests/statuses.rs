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
async fn null_in_a_spec_is_no_change_between_create_and_apply() -> Result<()> {
    with_namespace(async |namespace| {
        let free = json!({
            "alwaysMatch": {
                "proxy": {"proxyType": "direct", "noProxy": null},
                "goog:chromeOptions": {
                    "binary": null, "args": ["--lang=de"],
                    "prefs": {"a": null, "b": {"c": null, "d": {"e": null, "f": [null, 1]}}},
                },
                "moz:firefoxOptions": null,
            },
            "firstMatch": [{"ms:edgeOptions": {"args": null}}],
        });
        let mut typed = json!({"alwaysMatch": {"proxy": null}, "firstMatch": [{}]});
        for name in ["browserName", "pageLoadStrategy", "timeouts"] {
            typed["alwaysMatch"][name] = json!(null);
        }
        typed["firstMatch"][0] = json!({"browserVersion": null, "unhandledPromptBehavior": null});
        let manifest = |name: &str, capabilities: &serde_json::Value| {
            json!({
                "apiVersion": "browser-operator.io/v1alpha1", "kind": "BrowserSession",
                "metadata": {"name": name, "namespace": namespace.name},
                "spec": {
                    "className": "no-such-class",
                    "capabilities": capabilities,
                },
            })
            .to_string()
        };
        let apply = ["apply", "-f", "-"];
        let on_the_server = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
        let create = ["create", "-f", "-"];
        // What a schema knows is stored without null; the rest as it is, which server-side apply repeats. Neither undoes the other.
        for (name, capabilities, steps) in [
            ("created", &typed, vec![&create[..], &apply, &apply]),
            ("applied", &typed, vec![&apply[..], &apply]),
            ("applied-free", &free, vec![&apply[..], &apply]),
            ("served", &free, vec![&on_the_server[..], &on_the_server]),
            ("created-served", &free, vec![&create[..], &on_the_server, &on_the_server]),
        ] {
            for (number, step) in steps.into_iter().enumerate() {
                let done = kubectl_with(step, &manifest(name, capabilities)).await;
                done.with_context(|| format!("{name}, step {number}"))?;
            }
        }
        // Server-side apply removes no null before the API server compares the object with its schema.
        let refused = kubectl_with(&on_the_server, &manifest("refused", &typed)).await;
        let words = format!("{:?}", refused.err().context("null is taken")?);
        ensure!(words.contains("spec.capabilities.alwaysMatch.browserName"), "{words}");
        Ok(())
    })
    .await
}
