//! What work is keyed by: one session in one life.

use crds::BrowserSession;
use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{Resource, ResourceExt};

/// One session object; another object of the same name has another uid, and so another key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

impl Key {
    /// The key of a session; `None` for an object that never was in a cluster.
    pub fn of_session(session: &BrowserSession) -> Option<Self> {
        Some(Self {
            namespace: session.namespace()?,
            name: session.metadata.name.clone()?,
            uid: session.metadata.uid.clone()?,
        })
    }

    /// The key of the session that a pod was made for.
    pub fn of_pod(pod: &Pod) -> Option<Self> {
        Self::of_owner(&pod.metadata)
    }

    /// The key of the session that owns what has this metadata: a pod, or its own Service.
    pub fn of_owner(owned: &ObjectMeta) -> Option<Self> {
        let owner = owned.owner_references.iter().flatten().find(|owner| {
            owner.kind == BrowserSession::kind(&())
                && owner.api_version == BrowserSession::api_version(&())
        })?;
        Some(Self {
            namespace: owned.namespace.clone()?,
            name: owner.name.clone(),
            uid: owner.uid.clone(),
        })
    }
}
