//! What this process has written and its watches have not told of yet.

use std::collections::HashSet;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use parking_lot::Mutex;

use super::{stores::Stores, writes::Writes};
use crate::pods::pod_ref;

#[derive(Default)]
pub struct Expectations {
    pub services: Writes<()>,
    /// The uids of pods that were deleted.
    deleted_pods: Mutex<HashSet<String>>,
}

impl Expectations {
    /// Whether a Service exists, as far as is known.
    pub fn has_service(&self, stores: &Stores, namespace: &str, name: &str) -> bool {
        stores.has_service(namespace, name) || self.services.get(namespace, name).is_some()
    }

    /// A pod was deleted. One that the watch has let go of by now is not kept in mind.
    pub fn pod_deleted(&self, stores: &Stores, pod: &Pod) {
        let Some(uid) = pod.uid() else { return };
        let mut deleted = self.deleted_pods.lock();
        let watched = stores.pod(&pod_ref(pod));
        if watched.is_some_and(|watched| watched.metadata.uid.as_ref() == Some(&uid)) {
            deleted.insert(uid);
        }
    }

    /// Whether this process has deleted that pod.
    pub fn has_deleted(&self, pod: &Pod) -> bool {
        pod.metadata.uid.as_ref().is_some_and(|uid| self.deleted_pods.lock().contains(uid))
    }

    /// The watch says that a pod is gone.
    pub fn pod_gone(&self, pod: &Pod) {
        if let Some(uid) = &pod.metadata.uid {
            self.deleted_pods.lock().remove(uid);
        }
    }
}
