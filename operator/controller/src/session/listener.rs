//! What sessions need to know of the watches at once, before they are reconciled.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;

use crate::{
    admission::Gate,
    cache::{Expectations, Tombstones, watches::Listener},
    session_key::SessionKey,
};

pub struct SessionListener {
    pub gate: Arc<Gate>,
    pub expectations: Arc<Expectations>,
    pub tombstones: Arc<Tombstones>,
}

impl Listener for SessionListener {
    fn session_finished(&self, uid: &str) -> Vec<SessionKey> {
        self.tombstones.forget(uid);
        self.gate.release(uid)
    }

    fn pod_gone(&self, pod: &Pod, lives: &dyn Fn(&SessionKey) -> bool) -> Vec<SessionKey> {
        self.expectations.pod_gone(pod);
        self.tombstones.pod_gone(pod, lives);
        self.gate.pod_gone(pod.metadata.namespace.as_deref().unwrap_or_default())
    }

    fn service_gone(&self, namespace: &str, name: &str) {
        self.expectations.service_gone(namespace, name);
    }
}
