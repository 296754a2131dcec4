//! The operator's own pods.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, ensure};
use k8s_openapi::{
    api::{coordination::v1::Lease, core::v1::Pod},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, PostParams},
    runtime::watcher::Config,
};
use tokio::sync::Mutex;

use crate::{
    authority::authority,
    cluster::Cluster,
    wait::{until, until_all},
};

/// The running pods of a component: `controller` or `gateway`.
pub async fn pods(cluster: &Cluster, component: &str) -> Result<Vec<Pod>> {
    let labels = labels(component);
    let pods = Api::<Pod>::all(cluster.client.clone());
    let pods = pods.list(&ListParams::default().labels(&labels)).await.context("list pods")?;
    Ok(pods.items.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).collect())
}

pub async fn addresses(cluster: &Cluster, component: &str) -> Result<Vec<String>> {
    let pods = pods(cluster, component).await?;
    ensure!(!pods.is_empty(), "there is no {component}");
    pods.into_iter()
        .map(|pod| pod.status.and_then(|status| status.pod_ip).context("a pod without an address"))
        .collect()
}

/// The sum of a metric over a component's pods, as their second port says.
pub async fn metric(cluster: &Cluster, component: &str, name: &str) -> Result<f64> {
    let mut sum = 0.0;
    for address in addresses(cluster, component).await? {
        let url = format!("http://{}/metrics", authority(&address, 8080));
        let text = reqwest::get(&url).await.context("ask for metrics")?.text().await?;
        let values = text.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            (series.split('{').next() == Some(name)).then_some(value)
        });
        let values: Vec<&str> = values.collect();
        ensure!(!values.is_empty(), "{url} has no {name}");
        for value in values {
            sum += value.parse::<f64>().with_context(|| format!("{name} is {value}"))?;
        }
    }
    Ok(sum)
}

#[must_use]
pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.is_some_and(|all| all.iter().any(|c| c.type_ == "Ready" && c.status == "True"))
}

/// Deletes a component's pods, and waits until others stand in for them. Tests of one binary do so one after another.
pub async fn restart(cluster: &Cluster, component: &str) -> Result<()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());
    let _one_at_a_time = ONE_AT_A_TIME.lock().await;
    let old = pods(cluster, component).await?;
    for pod in &old {
        let namespace = pod.namespace().context("its namespace")?;
        let api = Api::<Pod>::namespaced(cluster.client.clone(), &namespace);
        api.delete(&pod.name_any(), &DeleteParams::default()).await.context("delete a pod")?;
    }
    let is_new = |pod: &&Pod| old.iter().all(|old| old.metadata.uid != pod.metadata.uid);
    let ready = |all: &BTreeMap<String, Pod>| {
        let new = all.values().filter(is_new);
        let ready = new.filter(|pod| pod.metadata.deletion_timestamp.is_none() && is_ready(pod));
        ready.count() >= old.len()
    };
    let config = Config::default().labels(&labels(component));
    let api = Api::<Pod>::all(cluster.client.clone());
    let all = until_all(&api, config, "in place of the old ones", RESTART_LIMIT, ready).await?;
    if component != "controller" {
        return Ok(());
    }
    // Of several one works: the one that has the Lease.
    let new: Vec<String> = all.values().filter(is_new).map(ResourceExt::name_any).collect();
    let held = |leases: &BTreeMap<String, Lease>| {
        leases.values().filter_map(holder).any(|holder| new.iter().any(|name| name == holder))
    };
    let namespace = old.first().and_then(ResourceExt::namespace).context("its namespace")?;
    let leases = Api::<Lease>::namespaced(cluster.client.clone(), &namespace);
    until_all(&leases, Config::default(), "held by a new one", RESTART_LIMIT, held).await.map(drop)
}

/// The holder's identity; `None` if nobody holds it.
#[must_use]
pub fn holder(lease: &Lease) -> Option<&str> {
    let holder = lease.spec.as_ref()?.holder_identity.as_deref();
    // One that was given back may name nobody.
    holder.filter(|holder| !holder.is_empty())
}

/// Starts a pod like a component's own, with flags that are the operator's but for those in `flags`, each as
/// `--name=value`, or as `--name` to leave it out. No Service and no Deployment selects it. Gives it when it is ready.
pub async fn start_copy(
    cluster: &Cluster,
    component: &str,
    flags: &[&str],
) -> Result<(Api<Pod>, Pod)> {
    let own = pods(cluster, component).await?;
    let own = own.into_iter().next().with_context(|| format!("there is no {component}"))?;
    let operator = own.namespace().context("its namespace")?;
    let mut spec = own.spec.context("its spec")?;
    spec.node_name = None;
    // The API server adds these to every pod.
    let is_token = |name: &str| name.starts_with("kube-api-access-");
    spec.volumes.iter_mut().for_each(|volumes| volumes.retain(|v| !is_token(&v.name)));
    for container in &mut spec.containers {
        container.lifecycle = None;
        container
            .volume_mounts
            .iter_mut()
            .for_each(|mounts| mounts.retain(|mount| !is_token(&mount.name)));
        let arguments = container.args.get_or_insert_default();
        for flag in flags {
            let name = flag.split('=').next().unwrap_or(flag);
            arguments.retain(|argument| argument.split('=').next() != Some(name));
        }
        let set = flags.iter().filter(|flag| flag.contains('='));
        arguments.extend(set.map(|flag| (*flag).to_owned()));
    }
    let pod = Pod {
        metadata: ObjectMeta {
            generate_name: Some(format!("e2e-{component}-")),
            labels: Some([("browser-operator.io/e2e".to_owned(), "true".to_owned())].into()),
            ..ObjectMeta::default()
        },
        spec: Some(spec),
        status: None,
    };
    let pods = Api::<Pod>::namespaced(cluster.client.clone(), &operator);
    let made = pods.create(&PostParams::default(), &pod).await.context("make a copy")?;
    let name = made.name_any();
    match until(&pods, &name, "ready", COPY_LIMIT, |pod| pod.is_some_and(is_ready)).await {
        Ok(Some(pod)) => Ok((pods, pod)),
        other => {
            pods.delete(&name, &DeleteParams::default()).await?;
            other?.context("it is gone")
        }
        .map(|pod| (pods, pod)),
    }
}

/// How long a copy may take to be ready.
const COPY_LIMIT: Duration = Duration::from_secs(30);

/// How long a component may take to be ready again.
const RESTART_LIMIT: Duration = Duration::from_secs(60);

fn labels(component: &str) -> String {
    format!("app.kubernetes.io/name=browser-operator,app.kubernetes.io/component={component}")
}
