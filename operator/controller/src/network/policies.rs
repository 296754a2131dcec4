//! Keeps the policies of each namespace: there before its first pod, put right when they or the cluster's networks change,
//! gone with its last session.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crds::names;
use futures::StreamExt;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::{
    Client, Resource, ResourceExt,
    runtime::{
        reflector::{ObjectRef, Store},
        watcher::{self, Event},
    },
};
use support::{objects::Sent, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    cluster_networks::{ClusterNetworks, discover},
    policy::{Kind, Policy, PolicySettings},
};
use crate::{
    cache::{Stores, Writes, watches::follow},
    settings::Settings,
    work_queue::{Action, WorkQueue},
    writer::{self, Writer},
};

pub struct Policies {
    /// `None`: the administrator wants no policies.
    settings: Option<PolicySettings>,
    controller_name: String,
    operator_namespace: String,
    networks: Arc<ClusterNetworks>,
    watched: Store<Sent<NetworkPolicy>>,
    written: Arc<Writes<NetworkPolicy>>,
    stores: Arc<Stores>,
    writer: Writer,
}

impl Policies {
    /// Watches them, and where the cluster is. `changed` gets the namespaces to reconcile.
    pub async fn start(
        client: &Client,
        settings: &Settings,
        stores: Arc<Stores>,
        writer: Writer,
        changed: WorkQueue<String>,
        stop: &CancellationToken,
        tasks: &TaskTracker,
    ) -> Arc<Self> {
        let written = Arc::new(Writes::default());
        let watched = match settings.network_policy {
            None => kube::runtime::reflector::store().0,
            Some(_) => {
                let ours = format!("{}={}", names::MANAGED_BY_LABEL, names::MANAGED_BY);
                let config = watcher::Config::default().labels(&ours);
                let events =
                    watch::objects_in(client, &settings.namespaces, config, stop).inspect({
                        let written = written.clone();
                        move |event| {
                            if matches!(event, Event::InitDone) {
                                written.listed();
                            }
                        }
                    });
                let (written, changed) = (written.clone(), changed.clone());
                follow(events, tasks, move |touched: &[Arc<Sent<NetworkPolicy>>], _| {
                    for policy in touched {
                        written.told(policy.meta());
                        changed.add(policy.namespace().unwrap_or_default());
                    }
                })
            }
        };
        let networks = if settings.cluster_networks.is_empty() {
            let watched = watched.clone();
            let reconcile_all = move || changed.add_all(namespaces(&watched));
            discover(client, settings.own_ips.clone(), reconcile_all, stop, tasks).await
        } else {
            ClusterNetworks::fixed(&settings.cluster_networks)
        };
        if settings.network_policy.is_some() {
            let ready = watched.wait_until_ready();
            // A writer is dropped only at the end of its watch, with the process.
            let _ = stop.run_until_cancelled(ready).await;
        }
        Arc::new(Self {
            settings: settings.network_policy.clone(),
            controller_name: settings.controller_name.clone(),
            operator_namespace: settings.operator_namespace.clone(),
            networks,
            watched,
            written,
            stores,
            writer,
        })
    }

    pub fn networks(&self) -> &ClusterNetworks {
        &self.networks
    }

    /// The namespaces that have some.
    pub fn namespaces(&self) -> BTreeSet<String> {
        namespaces(&self.watched)
    }

    pub fn has_any(&self, namespace: &str) -> bool {
        let policies = self.watched.state();
        policies.iter().any(|policy| policy.meta().namespace.as_deref() == Some(namespace))
    }

    /// Makes those that a pod of these labels needs; returns when they are there.
    pub async fn ensure(
        &self,
        namespace: &str,
        labels: &BTreeMap<String, String>,
    ) -> Result<(), writer::Error> {
        self.apply(namespace, Kind::of_pod(labels)).await
    }

    /// Makes and mends those that the namespace's pods need.
    pub async fn reconcile(&self, namespace: &str) -> Action {
        let pods = self.stores.pods_in(namespace);
        let kinds: BTreeSet<Kind> =
            pods.iter().flat_map(|pod| Kind::of_pod(pod.labels())).collect();
        match self.apply(namespace, kinds.into_iter()).await {
            Ok(()) => Action::AwaitChange,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, namespace, "its policies");
                Action::Retry
            }
        }
    }

    /// Deletes a namespace's.
    pub async fn delete(&self, namespace: &str) -> Result<(), writer::Error> {
        let Some(settings) = &self.settings else { return Ok(()) };
        let policy = self.policy(settings, &[]);
        for name in Kind::ALL.map(|kind| policy.name(kind)) {
            if let Some(there) = self.watched.get(&ObjectRef::new(&name).within(namespace)) {
                self.written.forget(namespace, &name);
                self.writer.delete_seen::<NetworkPolicy>(namespace, &name, there.uid()).await?;
            }
        }
        Ok(())
    }

    async fn apply(
        &self,
        namespace: &str,
        kinds: impl Iterator<Item = Kind>,
    ) -> Result<(), writer::Error> {
        let Some(settings) = &self.settings else { return Ok(()) };
        let networks = self.networks.current();
        let policy = self.policy(settings, &networks);
        for kind in kinds {
            self.apply_one(&policy.build(namespace, kind)).await?;
        }
        Ok(())
    }

    async fn apply_one(&self, policy: &NetworkPolicy) -> Result<(), writer::Error> {
        let (namespace, name) = (policy.namespace().unwrap_or_default(), policy.name_any());
        let written = self.written.get(&namespace, &name);
        let watched = self.watched.get(&ObjectRef::new(&name).within(&namespace));
        let (spec, seen) = match (written.as_deref(), watched.as_deref()) {
            (Some(there), _) | (None, Some(Sent::Readable(there))) => {
                (there.spec.as_ref(), Some(&there.metadata))
            }
            (None, Some(there)) => (None, Some(there.meta())),
            (None, None) => (None, None),
        };
        if seen.is_some() && spec == policy.spec.as_ref() {
            return Ok(());
        }
        let writing = self.written.begin(&namespace, &name);
        let made = match seen {
            Some(seen) => Some(self.writer.replace_policy(policy, seen).await?),
            None => self.writer.create_policy(policy).await?,
        };
        if let Some(made) = made {
            writing.answered(&made.metadata.clone(), made);
        }
        Ok(())
    }

    fn policy<'a>(
        &'a self,
        settings: &'a PolicySettings,
        cluster: &'a [ipnet::IpNet],
    ) -> Policy<'a> {
        let Self { controller_name, operator_namespace, .. } = self;
        Policy { settings, controller_name, operator_namespace, cluster }
    }
}

fn namespaces(policies: &Store<Sent<NetworkPolicy>>) -> BTreeSet<String> {
    policies.state().iter().filter_map(|policy| policy.namespace()).collect()
}
