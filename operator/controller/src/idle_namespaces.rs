//! The Service and the NetworkPolicies of a namespace go with its last session.

use std::{sync::Arc, time::Duration};

use crds::names;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::{Api, api::ListParams};
use tokio::{select, sync::Notify, time::sleep};

use crate::{
    cache::{Expectations, Stores},
    network::Policies,
    work_queue::Action,
    writer::Writer,
};

/// How long a namespace without sessions keeps it: who runs one session after another should not wait for it each time.
const LINGER: Duration = Duration::from_secs(30);

pub struct IdleNamespaces {
    pub stores: Arc<Stores>,
    pub expectations: Arc<Expectations>,
    pub policies: Arc<Policies>,
    pub writer: Writer,
}

impl IdleNamespaces {
    /// Deletes what a namespace has, if it is idle for a while. One that is made a session's at the same moment comes back:
    /// the watch tells of its end, and every live session there applies it again.
    pub async fn tidy(&self, namespace: &str, changed: Arc<Notify>) -> Action {
        loop {
            select! {
                () = sleep(LINGER) => break,
                () = changed.notified() => {}
            }
        }
        let names = [names::BROWSERS_SERVICE, names::FORMER_BROWSERS_SERVICE];
        let services = names.map(|name| (name, self.stores.service_uid(namespace, name)));
        let has_services = services.iter().any(|(_, uid)| uid.is_some());
        let has_any = has_services || self.policies.has_any(namespace);
        if !has_any || self.stores.has_live_session(namespace) {
            return Action::AwaitChange;
        }
        match self.has_pods(namespace).await {
            Ok(false) => {}
            Ok(true) => return Action::AwaitChange,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, namespace, "list pods");
                return Action::Retry;
            }
        }
        for (name, uid) in services {
            if uid.is_none() {
                continue;
            }
            self.expectations.services.forget(namespace, name);
            if let Err(error) = self.writer.delete_seen::<Service>(namespace, name, uid).await {
                tracing::warn!(error = &error as &dyn std::error::Error, namespace, "its Service");
                return Action::Retry;
            }
        }
        if let Err(error) = self.policies.delete(namespace).await {
            tracing::warn!(error = &error as &dyn std::error::Error, namespace, "its policies");
            return Action::Retry;
        }
        Action::AwaitChange
    }

    /// Also those of another release, which shares the Service.
    async fn has_pods(&self, namespace: &str) -> kube::Result<bool> {
        let pods = Api::<Pod>::namespaced(self.writer.client.clone(), namespace);
        let ours = format!("{}={}", names::MANAGED_BY_LABEL, names::MANAGED_BY);
        let pods = pods.list_metadata(&ListParams::default().labels(&ours).limit(1)).await?;
        Ok(!pods.items.is_empty())
    }
}
