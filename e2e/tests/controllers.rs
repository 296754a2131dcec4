//! Controllers: two that work at once do no harm, and one of two waits for the other's Lease.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use crds::{Phase, Reason};
use e2e::{
    Cluster, class_like_the_default, namespace::READY_LIMIT, operator, wait::until, with_namespace,
};
use futures::future::try_join_all;
use k8s_openapi::{
    api::{
        coordination::v1::Lease,
        core::v1::Pod,
        rbac::v1::{Role, RoleBinding},
    },
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, PostParams},
};
use serde_json::json;

/// The Lease of the controller that works beside the operator's own.
const SECOND: &str = "e2e-second-controller";
/// How long another may take to work where the one that held the Lease is gone without a word: the Lease's duration, and
/// what a busy machine needs.
const TAKEOVER_TIMEOUT: Duration = Duration::from_secs(40);
/// Sessions created while two controllers work.
const SESSIONS: usize = 12;

fn lease(cluster: &Cluster, namespace: &str) -> Api<Lease> {
    Api::namespaced(cluster.client.clone(), namespace)
}

async fn operators_namespace(cluster: &Cluster) -> Result<String> {
    let pods = operator::pods(cluster, "controller").await?;
    pods.first().and_then(ResourceExt::namespace).context("the operator's namespace")
}

/// Lets the controllers hold a Lease of another name, as long as the test takes.
async fn with_right_to_lease(
    cluster: &Cluster,
    namespace: &str,
    test: impl AsyncFnOnce() -> Result<()>,
) -> Result<()> {
    let account = operator::pods(cluster, "controller").await?;
    let account = account
        .first()
        .and_then(|pod| pod.spec.as_ref()?.service_account_name.clone())
        .context("its ServiceAccount")?;
    let role: Role = serde_json::from_value(json!({
        "metadata": {"name": SECOND},
        "rules": [{
            "apiGroups": ["coordination.k8s.io"], "resources": ["leases"],
            "resourceNames": [SECOND],
            "verbs": ["get", "list", "watch", "patch", "update", "delete"],
        }],
    }))?;
    let binding: RoleBinding = serde_json::from_value(json!({
        "metadata": {"name": SECOND},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": SECOND},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
    }))?;
    let roles = Api::<Role>::namespaced(cluster.client.clone(), namespace);
    let bindings = Api::<RoleBinding>::namespaced(cluster.client.clone(), namespace);
    roles.create(&PostParams::default(), &role).await.context("a Role")?;
    bindings.create(&PostParams::default(), &binding).await.context("a RoleBinding")?;
    let outcome = test().await;
    bindings.delete(SECOND, &DeleteParams::default()).await?;
    roles.delete(SECOND, &DeleteParams::default()).await?;
    // Whoever held it is gone.
    drop(lease(cluster, namespace).delete(SECOND, &DeleteParams::default()).await?);
    outcome
}

/// One after the other: they hold the same Lease.
#[tokio::test]
async fn two_controllers() -> Result<()> {
    two_that_work_at_once_do_no_harm().await.context("two that work at once")?;
    one_of_two_waits_and_takes_over().await.context("one waits")
}

async fn two_that_work_at_once_do_no_harm() -> Result<()> {
    with_namespace(async |namespace| {
        let cluster = &namespace.cluster;
        if cluster.settings.echo_image.is_empty() {
            println!("left out: ECHO_IMAGE is empty");
            return Ok(());
        }
        let operators = operators_namespace(cluster).await?;
        let default = cluster.default_class().await?;
        let fields = json!({
            "versions": [{"version": "1.0", "image": cluster.settings.echo_image}],
            "sandbox": "container",
            "resources": {"requests": {"cpu": "20m", "memory": "32Mi"}, "limits": {"memory": "256Mi"}},
        });
        let class = class_like_the_default(&default, &namespace.name, fields)?;
        let test = async || {
            let flag = format!("--lease={SECOND}");
            let (pods, second) = operator::start_copy(cluster, "controller", &[&flag]).await?;
            let works = async || {
                let held = |lease: Option<&Lease>| lease.and_then(operator::holder).is_some();
                until(&lease(cluster, &operators), SECOND, "held", TAKEOVER_TIMEOUT, held).await?;
                let names: Vec<String> = (0..SESSIONS).map(|n| format!("s{n}")).collect();
                let spec = json!({"className": namespace.name, "capabilities": {}});
                try_join_all(names.iter().map(|name| namespace.create(name, spec.clone()))).await?;
                let lives = try_join_all(names.iter().map(|name| namespace.ready(name))).await?;
                let all = namespace.pods().list(&ListParams::default()).await?;
                ensure!(all.items.len() == SESSIONS, "{} pods for {SESSIONS}", all.items.len());
                let client = cluster.anonymous();
                for live in &lives {
                    client.delete(&format!("/session/{}", live.id)).await?;
                }
                for name in &names {
                    namespace.ended(name, Phase::Completed, Reason::ClientEnded).await?;
                }
                namespace.nothing_left().await
            };
            let outcome = works().await;
            pods.delete(&second.name_any(), &DeleteParams::default()).await?;
            // It gives its Lease back, and must not find that of the next ones.
            until(&pods, &second.name_any(), "gone", READY_LIMIT, |pod| pod.is_none()).await?;
            outcome
        };
        cluster.with_class(&class, async || with_right_to_lease(cluster, &operators, test).await).await
    })
    .await
}

async fn one_of_two_waits_and_takes_over() -> Result<()> {
    with_namespace(async |namespace| {
        let cluster = &namespace.cluster;
        let operators = operators_namespace(cluster).await?;
        let test = async || {
            let flag = format!("--lease={SECOND}");
            let (pods, first) = operator::start_copy(cluster, "controller", &[&flag]).await?;
            let (_, other) = operator::start_copy(cluster, "controller", &[&flag]).await?;
            let holds = async |name: &str| {
                let held = |lease: Option<&Lease>| lease.and_then(operator::holder) == Some(name);
                until(&lease(cluster, &operators), SECOND, "held by it", TAKEOVER_TIMEOUT, held)
                    .await
            };
            let checks = async || {
                holds(&first.name_any()).await?;
                let now = DeleteParams::default().grace_period(0);
                pods.delete(&first.name_any(), &now).await?;
                holds(&other.name_any()).await?;
                // A controller that shuts down gives the Lease back, once it knows that it holds it.
                let renewed = |lease: Option<&Lease>| {
                    lease.and_then(|lease| lease.spec.as_ref()).is_some_and(|spec| {
                        let of = |time: &Option<MicroTime>| time.as_ref().map(|time| time.0);
                        of(&spec.renew_time) > of(&spec.acquire_time)
                    })
                };
                until(&lease(cluster, &operators), SECOND, "renewed", TAKEOVER_TIMEOUT, renewed)
                    .await?;
                pods.delete(&other.name_any(), &DeleteParams::default()).await?;
                let gone = |pod: Option<&Pod>| pod.is_none();
                until(&pods, &other.name_any(), "gone", READY_LIMIT, gone).await?;
                let lease = lease(cluster, &operators).get(SECOND).await?;
                let holder = operator::holder(&lease);
                ensure!(holder.is_none(), "{holder:?} is gone and holds the Lease");
                Ok(())
            };
            let outcome = checks().await;
            for pod in [&first, &other] {
                // Most often it is gone by now.
                let _ = pods.delete(&pod.name_any(), &DeleteParams::default()).await;
            }
            outcome
        };
        with_right_to_lease(cluster, &operators, test).await
    })
    .await
}
