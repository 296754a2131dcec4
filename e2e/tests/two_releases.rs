//! Two releases in one cluster: each acts on the sessions of its own classes.

use anyhow::{Context, Result, ensure};
use crds::{names, names::CONTROLLER_LABEL};
use e2e::{
    Namespace, class_like_the_default, finally::finally, kubectl::kubectl, operator,
    settings::checkout, with_namespace,
};
use kube::{ResourceExt, api::ListParams};
use serde_json::json;
use tokio::process::Command;

const CONTROLLER: &str = "example.com/second";

async fn helm(arguments: &[&str]) -> Result<()> {
    let output = Command::new("helm").args(arguments).output().await.context("run helm")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "helm {}: {said}", arguments.join(" "));
    Ok(())
}

/// The image of the release that is there.
async fn image(namespace: &Namespace) -> Result<(String, String)> {
    let pods = operator::pods(&namespace.cluster, "controller").await?;
    let spec = pods.first().and_then(|pod| pod.spec.as_ref()).context("a controller")?;
    let image = spec.containers.first().and_then(|c| c.image.clone()).context("its image")?;
    let (repository, tag) = image.rsplit_once(':').context("its tag")?;
    Ok((repository.to_owned(), tag.to_owned()))
}

#[tokio::test]
async fn each_release_acts_on_the_sessions_of_its_own_classes() -> Result<()> {
    with_namespace(async |namespace| {
        let second = format!("{}-second", namespace.name);
        kubectl(&["create", "namespace", &second]).await?;
        finally(Box::pin(install_and_check(&namespace, &second)), async {
            kubectl(&["delete", "namespace", &second, "--wait=false"]).await.map(drop)
        })
        .await
    })
    .await
}

async fn install_and_check(namespace: &Namespace, second: &str) -> Result<()> {
    let (repository, tag) = image(namespace).await?;
    let chart = checkout().join("charts/browser-operator");
    let values = format!(
        "controllerName={CONTROLLER},watchNamespaces={{{}}},image.repository={repository},image.tag={tag},\
         gateway.replicas=1,gateway.anonymousNamespace={},seccomp.enabled=false,admissionPolicy.enabled=false,\
         rbac.aggregate=false,classes.chromium=null,classes.firefox=null",
        namespace.name, namespace.name
    );
    let chart = chart.to_str().context("the chart's path")?;
    let install =
        ["install", second, chart, "--namespace", second, "--wait", "--timeout=90s", "--set"];
    helm(&[&install[..], &[&values]].concat()).await?;
    finally(check(namespace), async {
        helm(&["uninstall", second, "--namespace", second, "--wait"]).await
    })
    .await
}

async fn check(namespace: &Namespace) -> Result<()> {
    let cluster = &namespace.cluster;
    let fields = json!({"controllerName": CONTROLLER});
    let class = class_like_the_default(&cluster.default_class().await?, &namespace.name, fields)?;
    let test = async || {
        let theirs = namespace.create_ready("theirs", json!({"className": namespace.name})).await?;
        let ours = namespace.create_ready("ours", json!({})).await?;
        let pods = namespace.pods().list(&ListParams::default()).await?;
        ensure!(pods.items.len() == 2, "{} pods for two sessions", pods.items.len());
        for pod in &pods.items {
            let has_label = pod.labels().contains_key(CONTROLLER_LABEL);
            ensure!(has_label == (pod.name_any() == theirs.pod), "{}", pod.name_any());
        }
        // Each in its own gateway.
        cluster.anonymous().title(&ours.id).await?;
        let gateway = theirs.status.web_driver_url.as_deref().context("webDriverUrl")?;
        ensure!(gateway.contains("-second"), "the URL is the other gateway's: {gateway}");
        // What the other release's key signs is not known here.
        ensure!(theirs.id != ours.id, "one id for two sessions");
        namespace.delete("theirs").await?;
        namespace.pod_gone(&theirs.session).await?;
        cluster.anonymous().title(&ours.id).await.context("it lives on")?;
        let lease = kubectl(&["get", "lease", "-A"]).await?;
        ensure!(lease.contains("second"), "no Lease of its own: {lease}");
        ensure!(class.spec.controller_name != names::CONTROLLER_NAME, "the class is the other's");
        Ok(())
    };
    cluster.with_class(&class, test).await
}
