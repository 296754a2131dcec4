//! Where the cluster is: as the administrator says, or as Nodes and ServiceCIDRs do.

use std::{net::IpAddr, sync::Arc};

use futures::StreamExt;
use ipnet::IpNet;
use k8s_openapi::api::{
    core::v1::{Node, NodeSpec, NodeStatus},
    networking::v1::ServiceCIDR,
};
use kube::{
    Api, Client, Resource,
    api::ListParams,
    runtime::{
        reflector::Store,
        watcher::{Config, Event},
    },
};
use parking_lot::RwLock;
use support::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::ranges::ranges;
use crate::cache::watches::follow;

/// The networks of pods, Services and nodes, as far as they are known by now.
#[derive(Default)]
pub struct ClusterNetworks(RwLock<Arc<[IpNet]>>);

impl ClusterNetworks {
    /// Those that the administrator names; it is not looked for others.
    pub fn fixed(networks: &[IpNet]) -> Arc<Self> {
        Arc::new(Self(RwLock::new(networks.into())))
    }

    /// Empty: not known.
    pub fn current(&self) -> Arc<[IpNet]> {
        self.0.read().clone()
    }

    /// Returns whether they are others than before.
    fn set(&self, networks: Vec<IpNet>) -> bool {
        let mut current = self.0.write();
        let is_new = **current != *networks;
        if is_new {
            tracing::info!(?networks, "the cluster's networks");
            *current = networks.into();
        }
        is_new
    }
}

/// Follows what the cluster says, until `stop`. Returns when it has been heard, or says nothing: before version 1.33 it has no
/// ServiceCIDRs. `own`: addresses of this process's pod.
pub async fn discover(
    client: &Client,
    own: Vec<IpAddr>,
    on_change: impl Fn() + Clone + Send + 'static,
    stop: &CancellationToken,
    tasks: &TaskTracker,
) -> Arc<ClusterNetworks> {
    let networks = Arc::new(ClusterNetworks::default());
    if is_refused::<Node>(client).await || is_refused::<ServiceCIDR>(client).await {
        return networks;
    }
    let found = Arc::new(RwLock::new(None::<(Store<Node>, Store<ServiceCIDR>)>));
    let update = {
        let (found, networks) = (found.clone(), networks.clone());
        move || {
            let Some((nodes, services)) = found.read().clone() else { return };
            let (nodes, services) = (nodes.state(), services.state());
            let known =
                ranges(nodes.iter().map(AsRef::as_ref), services.iter().map(AsRef::as_ref), &own);
            if networks.set(known) {
                on_change();
            }
        }
    };
    let events = watch::events::<Node>(client, Config::default(), stop.clone()).map(slim);
    let nodes = follow(events, tasks, {
        let update = update.clone();
        move |_, _| update()
    });
    let events = watch::events::<ServiceCIDR>(client, Config::default(), stop.clone());
    let services = follow(events, tasks, {
        let update = update.clone();
        move |_, _| update()
    });
    *found.write() = Some((nodes.clone(), services.clone()));
    let heard = async {
        // A writer is dropped only at the end of its watch, with the process.
        let _ = nodes.wait_until_ready().await;
        let _ = services.wait_until_ready().await;
    };
    if stop.run_until_cancelled(heard).await.is_some() {
        update();
    }
    networks
}

/// Whether there is no such kind, or no right to read it. Any other failure passes, and a watch tries again.
async fn is_refused<K>(client: &Client) -> bool
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let listed = Api::<K>::all(client.clone()).list_metadata(&ListParams::default().limit(1)).await;
    let Err(kube::Error::Api(status)) = listed else { return false };
    let is_refused = matches!(status.code, 403 | 404);
    if is_refused {
        let kind = K::kind(&());
        tracing::info!(cause = status.message, "no {kind} says where the cluster is");
    }
    is_refused
}

/// Keeps of a node what is read here.
fn slim(event: Event<Node>) -> Event<Node> {
    let kept = |node: Node| Node {
        metadata: node.metadata,
        spec: node.spec.map(|spec| NodeSpec { pod_cidrs: spec.pod_cidrs, ..NodeSpec::default() }),
        status: node
            .status
            .map(|status| NodeStatus { addresses: status.addresses, ..NodeStatus::default() }),
    };
    match event {
        Event::Init => Event::Init,
        Event::InitApply(node) => Event::InitApply(kept(node)),
        Event::InitDone => Event::InitDone,
        Event::Apply(node) => Event::Apply(kept(node)),
        Event::Delete(node) => Event::Delete(kept(node)),
    }
}
