//! What sessions need to know of the watches at once, before they are reconciled.

use std::{collections::HashSet, sync::Arc};

use k8s_openapi::api::core::v1::Pod;
use kube::api::ObjectMeta;

use crate::{
    admission::Gate,
    cache::{Expectations, Tombstones, watches::Listener},
    class::Observations,
    session_key::SessionKey,
    work_queue::WorkQueue,
};

pub struct SessionListener {
    pub gate: Arc<Gate>,
    pub expectations: Arc<Expectations>,
    pub tombstones: Arc<Tombstones>,
    pub observations: Arc<Observations>,
    /// Classes whose status may have to change.
    pub changed_classes: WorkQueue<String>,
    /// Namespaces whose last session this may have been.
    pub maybe_idle: WorkQueue<String>,
}

impl Listener for SessionListener {
    fn pod_seen(&self, pod: &Pod) {
        self.observations.pod_seen(pod);
    }

    fn session_finished(&self, key: &SessionKey) -> Vec<SessionKey> {
        self.tombstones.forget(&key.uid);
        self.maybe_idle.add(key.namespace.clone());
        self.gate.release(&key.uid)
    }

    fn pod_gone(&self, pod: &Pod, lives: &dyn Fn(&SessionKey) -> bool) -> Vec<SessionKey> {
        self.expectations.pod_gone(pod);
        self.tombstones.pod_gone(pod, lives);
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        self.maybe_idle.add(namespace.to_owned());
        self.gate.pod_gone(namespace)
    }

    fn service_told(&self, service: &ObjectMeta) {
        self.expectations.services.told(service);
    }

    fn services_listed(&self) {
        self.expectations.services.listed();
    }

    fn classes_are(&self, names: HashSet<String>, touched: Vec<String>) {
        self.gate.classes_are(names);
        self.changed_classes.add_all(touched);
    }
}
