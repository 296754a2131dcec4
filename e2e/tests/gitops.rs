//! What those who wait for objects make of ours: kstatus' own library, Argo CD by the script and Flux by the expressions of
//! `examples/gitops`. `e2e/kstatus` runs all three.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use crds::{BrowserClass, Phase, Reason};
use e2e::{
    Namespace, class_like_the_default,
    finally::finally,
    kubectl::{kubectl, kubectl_with},
    namespace::END_LIMIT,
    objects::session_json,
    settings::checkout,
    wait::until,
    with_namespace,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, process::Command};

#[derive(Debug, Deserialize, PartialEq)]
struct Verdict {
    name: String,
    kstatus: String,
    argocd: String,
    flux: String,
}

/// What the three say of objects, in their order.
async fn judged(objects: &[Value]) -> Result<Vec<Verdict>> {
    let folder = checkout().join("examples/gitops").canonicalize()?;
    let mut running = Command::new("go")
        .args(["run", "."])
        .args([folder.join("argocd-cm.yaml"), folder.join("flux-kustomization.yaml")])
        .current_dir(checkout().join("e2e/kstatus"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("run go, which must be in PATH")?;
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string();
    let mut input = running.stdin.take().context("its input")?;
    input.write_all(list.as_bytes()).await?;
    drop(input);
    let output = running.wait_with_output().await?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "e2e/kstatus: {complaint}");
    let lines = String::from_utf8(output.stdout)?;
    Ok(lines.lines().map(serde_json::from_str).collect::<serde_json::Result<_>>()?)
}

/// A session as the API server has it.
async fn stored(namespace: &Namespace, name: &str) -> Result<Value> {
    let space = format!("--namespace={}", namespace.name);
    Ok(serde_json::from_str(&kubectl(&[&space, "get", "bs", name, "-o", "json"]).await?)?)
}

/// A session as it is when it has just been made, before any controller has seen it.
async fn unseen(namespace: &Namespace) -> Result<Value> {
    let space = format!("--namespace={}", namespace.name);
    let create = [&space, "create", "--dry-run=server", "-o", "json", "-f", "-"];
    let manifest = session_json("new", json!({})).to_string();
    Ok(serde_json::from_str(&kubectl_with(&create, &manifest).await?)?)
}

#[tokio::test]
async fn kstatus_argo_cd_and_flux_know_a_session_in_each_of_its_states() -> Result<()> {
    with_namespace(async |namespace| {
        let default = namespace.cluster.default_class().await?;
        let full = class_like_the_default(&default, &namespace.name, json!({"capacity": 0}))?;
        namespace.cluster.with_class(&full, async || each_state(&namespace).await).await
    })
    .await
}

#[tokio::test]
async fn kstatus_argo_cd_and_flux_know_a_class_in_each_of_its_states() -> Result<()> {
    with_namespace(async |namespace| {
        let cluster = &namespace.cluster;
        let default = cluster.default_class().await?;
        let name = format!("{}-broken", namespace.name);
        let untried = class_like_the_default(&default, &namespace.name, json!({}))?;
        let broken = json!({"podTemplate": {"spec": {"hostNetwork": true}}});
        let broken = class_like_the_default(&default, &name, broken)?;
        let test = async || {
            let class = async |name: &str, met: &str| {
                let is = |class: Option<&BrowserClass>| {
                    class.and_then(|class| class.status.as_ref()).is_some_and(|status| {
                        status.observed_generation.is_some() && status.conditions[0].status == met
                    })
                };
                until(&cluster.classes(), name, met, END_LIMIT, is).await?;
                let class = kubectl(&["get", "bc", name, "-o", "json"]).await?;
                Ok::<Value, anyhow::Error>(serde_json::from_str(&class)?)
            };
            let manifest = json!({
                "apiVersion": "browser-operator.io/v1alpha1", "kind": "BrowserClass",
                "metadata": {"name": "new"}, "spec": default.spec,
            });
            let create = ["create", "--dry-run=server", "-o", "json", "-f", "-"];
            let unseen = kubectl_with(&create, &manifest.to_string()).await?;
            let mut objects = vec![serde_json::from_str(&unseen)?];
            objects.push(class(&namespace.name, "Unknown").await?);
            objects.push(class(&name, "False").await?);
            namespace.create_ready("s", json!({"className": namespace.name})).await?;
            objects.push(class(&namespace.name, "True").await?);
            let told: Vec<[String; 3]> = judged(&objects)
                .await?
                .into_iter()
                .map(|verdict| [verdict.kstatus, verdict.argocd, verdict.flux])
                .collect();
            assert_eq!(
                told,
                [
                    ["InProgress", "Progressing", "InProgress"],
                    ["InProgress", "Healthy", "Current"],
                    ["InProgress", "Degraded", "Failed"],
                    ["Current", "Healthy", "Current"],
                ]
            );
            Ok(())
        };
        cluster.with_class(&untried, async || cluster.with_class(&broken, test).await).await
    })
    .await
}

async fn each_state(namespace: &Namespace) -> Result<()> {
    namespace.create("queued", json!({"className": namespace.name})).await?;
    namespace.reason("queued", Reason::CapacityReached, END_LIMIT).await?;
    namespace.create("failed", json!({"className": "missing"})).await?;
    namespace.ended("failed", Phase::Failed, Reason::ClassNotFound).await?;
    let good = namespace.create_ready("finished", json!({})).await?;
    let client = namespace.cluster.anonymous();
    client.delete(&format!("/session/{}", good.id)).await?;
    namespace.ended("finished", Phase::Completed, Reason::ClientEnded).await?;
    namespace.create_ready("ready", json!({})).await?;
    namespace.create_ready("deleted", json!({})).await?;
    let space = format!("--namespace={}", namespace.name);
    let finalizers = async |list: Value| {
        let patch = json!({"metadata": {"finalizers": list}}).to_string();
        kubectl(&[&space, "patch", "bs", "deleted", "--type=merge", "-p", &patch]).await
    };
    finalizers(json!(["example.com/held"])).await?;
    kubectl(&[&space, "delete", "bs", "deleted", "--wait=false"]).await?;

    let told = async {
        let mut objects = vec![unseen(namespace).await?];
        for name in ["queued", "ready", "finished", "failed", "deleted"] {
            objects.push(stored(namespace, name).await?);
        }
        let verdict = |name: &str, kstatus: &str, argocd: &str, flux: &str| Verdict {
            name: name.to_owned(),
            kstatus: kstatus.to_owned(),
            argocd: argocd.to_owned(),
            flux: flux.to_owned(),
        };
        assert_eq!(
            judged(&objects).await?,
            [
                verdict("new", "InProgress", "Progressing", "InProgress"),
                verdict("queued", "InProgress", "Progressing", "InProgress"),
                verdict("ready", "Current", "Healthy", "Current"),
                verdict("finished", "Current", "Healthy", "Current"),
                verdict("failed", "Failed", "Degraded", "Failed"),
                verdict("deleted", "Terminating", "Progressing", "InProgress"),
            ]
        );
        Ok(())
    };
    let release = async {
        finalizers(json!(null)).await?;
        let gone = |session: Option<&crds::BrowserSession>| session.is_none();
        until(&namespace.sessions(), "deleted", "gone", END_LIMIT, gone).await.map(drop)
    };
    finally(told, release).await
}
