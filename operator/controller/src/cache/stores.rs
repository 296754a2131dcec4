//! What the watches have seen, and what this process has written since.

use std::{collections::HashMap, sync::Arc};

use agent_api::PodRef;
use crds::{BrowserClass, BrowserSession, names};
use k8s_openapi::api::core::v1::{Pod, Secret, Service};
use kube::{
    core::PartialObjectMeta,
    runtime::reflector::{ObjectRef, Store},
};
use parking_lot::{Mutex, RwLock};
use support::objects::Sent;

use super::{class_owners::ClassOwners, kept::kept, writes::version};
use crate::{build::cold_pod, pods::assigned_pod, session_key::SessionKey};

/// A pod of each session, by the session's uid. Entries of pods that are gone may stay until their watch says so.
pub type PodIndex = Arc<RwLock<HashMap<String, PodRef>>>;

pub struct Stores {
    pub(super) sessions: Store<BrowserSession>,
    pub(super) pods: Store<Pod>,
    pub(super) pod_index: PodIndex,
    pub(super) services: Store<PartialObjectMeta<Service>>,
    /// The credentials that calls brought, in the operator's namespace.
    pub(super) brought: Store<PartialObjectMeta<Secret>>,
    pub(super) operator_namespace: String,
    pub(super) classes: Arc<RwLock<Arc<[BrowserClass]>>>,
    pub(super) class_owners: Arc<RwLock<ClassOwners>>,
    pub(super) controller_name: String,
    pub(super) classes_listed: Store<Sent<BrowserClass>>,
    /// By uid: sessions that this process wrote and its watch has not told of yet.
    pub(super) written: Mutex<HashMap<String, Arc<BrowserSession>>>,
}

impl Stores {
    /// Waits until each watch has listed what there is.
    pub async fn wait_until_ready(&self) {
        // A writer is dropped only at the end of its watch, with the process.
        let _ = self.sessions.wait_until_ready().await;
        let _ = self.pods.wait_until_ready().await;
        let _ = self.services.wait_until_ready().await;
        let _ = self.brought.wait_until_ready().await;
        let _ = self.classes_listed.wait_until_ready().await;
    }

    /// The session of a key: as the watch has told of it, or as this process wrote it since.
    pub fn session(&self, key: &SessionKey) -> Option<Arc<BrowserSession>> {
        let watched = self
            .sessions
            .get(&ObjectRef::new(&key.name).within(&key.namespace))
            .filter(|session| session.metadata.uid.as_ref() == Some(&key.uid));
        let mut written = self.written.lock();
        let newer = written.get(&key.uid).filter(|written| {
            watched
                .as_ref()
                .is_some_and(|watched| version(&watched.metadata) < version(&written.metadata))
        });
        match newer {
            Some(newer) => Some(newer.clone()),
            None => {
                written.remove(&key.uid);
                watched
            }
        }
    }

    /// Keeps a session as the API server has answered a write, until the watch tells of it.
    pub fn wrote(&self, session: Sent<BrowserSession>) {
        let Some(session) = kept(session) else { return };
        if let Some(uid) = session.metadata.uid.clone() {
            self.written.lock().insert(uid, Arc::new(session));
        }
    }

    /// The pod that a session holds: the one in its status, else the one created for it alone, else any other that it owns.
    /// A copy of its pod, which has the same owner, must not take its place.
    pub fn pod_of(&self, key: &SessionKey) -> Option<Arc<Pod>> {
        let held = |pod: &PodRef| {
            self.pod(pod).filter(|pod| SessionKey::of_pod(pod).as_ref() == Some(key))
        };
        let assigned = self.session(key).and_then(|session| assigned_pod(&session));
        assigned
            .and_then(|pod| held(&pod))
            .or_else(|| held(&cold_pod(key)))
            .or_else(|| held(self.pod_index.read().get(&key.uid)?))
    }

    pub fn pod(&self, pod: &PodRef) -> Option<Arc<Pod>> {
        self.pods.get(&ObjectRef::new(&pod.name).within(&pod.namespace))
    }

    /// The pods of a namespace.
    pub fn pods_in(&self, namespace: &str) -> Vec<Arc<Pod>> {
        let mut pods = self.pods.state();
        pods.retain(|pod| pod.metadata.namespace.as_deref() == Some(namespace));
        pods
    }

    pub fn has_service(&self, namespace: &str, name: &str) -> bool {
        self.services.get(&ObjectRef::new(name).within(namespace)).is_some()
    }

    /// The uid of a Service that carries the operator's label.
    pub fn service_uid(&self, namespace: &str, name: &str) -> Option<String> {
        let service = self.services.get(&ObjectRef::new(name).within(namespace))?;
        service.metadata.uid.clone()
    }

    /// The uid of the Secret with the credentials that a session's call brought.
    pub fn brought_uid(&self, key: &SessionKey) -> Option<String> {
        let secret = ObjectRef::new(&key.brought_name()).within(&self.operator_namespace);
        self.brought.get(&secret)?.metadata.uid.clone()
    }

    /// The namespaces with a Service that names their pods.
    pub fn namespaces_with_services(&self) -> Vec<String> {
        let names = [names::BROWSERS_SERVICE, names::FORMER_BROWSERS_SERVICE];
        let services = self.services.state();
        let of_namespaces = services.iter().filter(|service| {
            service.metadata.name.as_deref().is_some_and(|name| names.contains(&name))
        });
        of_namespaces.filter_map(|service| service.metadata.namespace.clone()).collect()
    }

    /// This controller's live sessions that have no pod, as far as is known.
    pub fn without_pod(&self) -> Vec<Arc<BrowserSession>> {
        let mut sessions = self.sessions.state();
        sessions.retain(|session| {
            !is_finished(session)
                && assigned_pod(session).is_none()
                && self.is_ours(session)
                && SessionKey::of_session(session).is_some_and(|key| self.pod_of(&key).is_none())
        });
        sessions
    }

    pub fn has_live_session(&self, namespace: &str) -> bool {
        self.sessions.state().iter().any(|session| {
            session.metadata.namespace.as_deref() == Some(namespace) && !is_finished(session)
        })
    }

    /// Whether this controller decides about a session.
    pub fn is_ours(&self, session: &BrowserSession) -> bool {
        self.class_owners.read().owner(session) == self.controller_name
    }

    /// This controller's.
    pub fn classes(&self) -> Arc<[BrowserClass]> {
        self.classes.read().clone()
    }

    /// This controller's class of that name.
    pub fn class(&self, name: &str) -> Option<BrowserClass> {
        let classes = self.classes();
        classes.iter().find(|class| class.metadata.name.as_deref() == Some(name)).cloned()
    }

    pub fn sessions(&self) -> Vec<Arc<BrowserSession>> {
        self.sessions.state()
    }
}

/// Whether a session needs no pod any more. One that is being deleted is kept only by somebody's finalizer.
pub fn is_finished(session: &BrowserSession) -> bool {
    session.is_terminal() || session.metadata.deletion_timestamp.is_some()
}
