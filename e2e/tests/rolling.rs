//! An upgrade of the controller: sessions that are created meanwhile hardly notice.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use crds::{Phase, Reason, names::SESSION_UID_LABEL};
use e2e::{
    Namespace, class_like_the_default,
    kubectl::kubectl,
    namespace::READY_LIMIT,
    operator,
    wait::{eventually, until_all},
    with_namespace,
};
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt, api::DeleteParams, runtime::watcher::Config};
use serde_json::json;
use tokio::time::{Instant, sleep_until};

/// How often a session is created.
const EVERY: Duration = Duration::from_millis(500);
/// Well below the Lease's duration of 15 seconds, with room for a busy machine; the measured gap is printed.
const LONGEST: Duration = Duration::from_secs(8);

/// Seconds until the controller has made a session's pod: what comes after is the kubelet's.
async fn create(namespace: &Namespace, name: String) -> Result<f64> {
    let begun = Instant::now();
    let spec = json!({"className": namespace.name, "capabilities": {}});
    let uid = namespace.create(&name, spec).await?.uid().context("its uid")?;
    let its = Config::default().labels(&format!("{SESSION_UID_LABEL}={uid}"));
    until_all(&namespace.pods(), its, "made", READY_LIMIT, |pods| !pods.is_empty()).await?;
    let took = begun.elapsed().as_secs_f64();
    namespace.delete(&name).await?;
    Ok(took)
}

/// Creates sessions at a steady pace while `meanwhile` runs; gives the longest time that one took.
async fn stream(
    namespace: &Namespace,
    prefix: &str,
    meanwhile: impl Future<Output = Result<()>>,
) -> Result<f64> {
    let mut meanwhile = std::pin::pin!(meanwhile);
    let mut sessions = Vec::new();
    let mut next = Instant::now();
    loop {
        let (namespace, name) = (namespace.clone(), format!("{prefix}{}", sessions.len()));
        sessions.push(tokio::spawn(async move { create(&namespace, name).await }));
        next += EVERY;
        tokio::select! {
            outcome = &mut meanwhile => {
                outcome?;
                break;
            }
            () = sleep_until(next) => {}
        }
    }
    let took = try_join_all(sessions).await?.into_iter().collect::<Result<Vec<f64>>>()?;
    Ok(took.into_iter().fold(0.0, f64::max))
}

#[tokio::test]
async fn sessions_hardly_notice_that_a_controller_goes() -> Result<()> {
    with_namespace(async |namespace| {
        let cluster = &namespace.cluster;
        if cluster.settings.echo_image.is_empty() {
            println!("left out: ECHO_IMAGE is empty");
            return Ok(());
        }
        let pods = operator::pods(cluster, "controller").await?;
        let operators = pods.first().and_then(ResourceExt::namespace).context("its namespace")?;
        let fields = json!({
            "versions": [{"version": "1.0", "image": cluster.settings.echo_image}],
            "sandbox": "container",
            "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "256Mi"}},
        });
        let class = class_like_the_default(&cluster.default_class().await?, &namespace.name, fields)?;
        let test = async || {
            let calm = async {
                tokio::time::sleep(5 * Duration::from_secs(1)).await;
                Ok(())
            };
            let calm = stream(&namespace, "calm-", calm).await?;
            let controller = "--selector=app.kubernetes.io/component=controller";
            let rollout = async {
                let of = ["--namespace", &operators, controller];
                kubectl(&[&["rollout", "restart", "deployment"][..], &of].concat()).await?;
                let limit = format!("--timeout={}s", READY_LIMIT.as_secs());
                kubectl(&[&["rollout", "status", "deployment", &limit][..], &of].concat()).await?;
                // The old one has gone when its pod has.
                for pod in &pods {
                    let pod = format!("pod/{}", pod.name_any());
                    let gone = ["wait", "--for=delete", &pod, &limit, "--namespace", &operators];
                    kubectl(&gone).await?;
                }
                Ok(())
            };
            let rolling = stream(&namespace, "rolling-", rollout).await?;
            println!("slowest pod: {calm:.2} s in calm, {rolling:.2} s in a rolling update");
            ensure!(rolling - calm < LONGEST.as_secs_f64(), "a gap of {:.2} s", rolling - calm);
            no_second_pod(&namespace, &operators).await
        };
        cluster.with_class(&class, test).await
    })
    .await
}

/// A session whose status says nothing of its pod yet, when its controller is killed and then its pod deleted.
async fn no_second_pod(namespace: &Namespace, operators: &str) -> Result<()> {
    let cluster = &namespace.cluster;
    let name = format!("{}-nowhere", namespace.name);
    // Its pods wait for a node, and so is its status quiet for two seconds.
    let fields =
        json!({"regions": [{"name": "nowhere", "nodeSelector": {"e2e/nowhere": "at-all"}}]});
    let class = class_like_the_default(&cluster.default_class().await?, &name, fields)?;
    let test = async || {
        let killed = operator::pods(cluster, "controller").await?.into_iter().map(|pod| {
            let address = pod.status.as_ref().and_then(|status| status.pod_ip.clone());
            Ok((pod.name_any(), address.context("a controller without an address")?))
        });
        let killed = killed.collect::<Result<Vec<_>>>()?;
        let uid = namespace.create("left", json!({"className": name})).await?.uid();
        let its =
            Config::default().labels(&format!("{SESSION_UID_LABEL}={}", uid.context("its uid")?));
        let pods = namespace.pods();
        let made = until_all(&pods, its.clone(), "made", READY_LIMIT, |pods| !pods.is_empty());
        let made = made.await?.into_values().next().context("its pod")?;
        let now = DeleteParams::default().grace_period(0);
        let controllers = Api::<Pod>::namespaced(cluster.client.clone(), operators);
        for (name, _) in &killed {
            controllers.delete(name, &now).await?;
        }
        // Its Lease is still held, so no other works yet.
        for (_, address) in &killed {
            let health = format!("http://{address}:8080/healthz");
            let is_dead = async || match reqwest::get(&health).await {
                Ok(_) => anyhow::bail!("{health} answers"),
                Err(_) => Ok(()),
            };
            eventually(READY_LIMIT, is_dead).await?;
        }
        pods.delete(&made.name_any(), &now).await?;
        namespace.ended("left", Phase::Failed, Reason::PodDeleted).await?;
        let left = until_all(&pods, its, "none", READY_LIMIT, |pods| pods.is_empty()).await?;
        ensure!(left.is_empty(), "a second pod");
        Ok(())
    };
    cluster.with_class(&class, test).await
}
