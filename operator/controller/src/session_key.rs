//! What a session is keyed by: its object in one life.

use crds::{BrowserSession, names};
use k8s_openapi::{
    api::core::v1::Pod,
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use kube::{Resource, ResourceExt};

/// A BrowserSession. Another object of the same name has another uid, and so another key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SessionKey {
    pub namespace: String,
    pub name: String,
    pub uid: String,
}

impl SessionKey {
    /// The key of a session; `None` for an object that never was in a cluster.
    pub fn of_session(session: &BrowserSession) -> Option<Self> {
        Some(Self {
            namespace: session.namespace()?,
            name: session.metadata.name.clone()?,
            uid: session.metadata.uid.clone()?,
        })
    }

    /// The key of the session that a pod was created for or bound to.
    pub fn of_pod(pod: &Pod) -> Option<Self> {
        Self::of_owner(&pod.metadata)
    }

    /// The key of the session that owns a pod or a Service. Kind and group decide, never the version: an owner reference
    /// keeps the version that it was written with, and a new one must not orphan every running pod.
    pub fn of_owner(owned: &ObjectMeta) -> Option<Self> {
        let owner = owned.owner_references.iter().flatten().find(|owner| {
            owner.kind == BrowserSession::kind(&()) && group_of(owner) == BrowserSession::group(&())
        })?;
        Some(Self {
            namespace: owned.namespace.clone()?,
            name: owner.name.clone(),
            uid: owner.uid.clone(),
        })
    }

    /// The key of the session whose credentials a Secret of the operator's namespace has.
    pub fn of_brought(secret: &ObjectMeta) -> Option<Self> {
        let uid = secret.name.as_deref()?.strip_prefix(names::SESSION_PROXY_PREFIX)?;
        let session = secret.annotations.as_ref()?.get(names::SESSION_ANNOTATION)?;
        let (namespace, name) = session.split_once('/')?;
        Some(Self { namespace: namespace.into(), name: name.into(), uid: uid.into() })
    }

    /// The name of that Secret.
    pub fn brought_name(&self) -> String {
        format!("{}{}", names::SESSION_PROXY_PREFIX, self.uid)
    }
}

/// The API group of an owner; empty for the core group, whose versions are written without one.
fn group_of(owner: &OwnerReference) -> &str {
    owner.api_version.split_once('/').map_or("", |(group, _)| group)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned_by(kind: &str, api_version: &str) -> Option<SessionKey> {
        SessionKey::of_owner(&ObjectMeta {
            namespace: Some("team-a".into()),
            owner_references: Some(vec![OwnerReference {
                api_version: api_version.into(),
                kind: kind.into(),
                name: "checkout".into(),
                uid: "u1".into(),
                ..OwnerReference::default()
            }]),
            ..ObjectMeta::default()
        })
    }

    #[test]
    fn a_session_owns_its_pod_whatever_the_version_of_the_reference() {
        let key =
            SessionKey { namespace: "team-a".into(), name: "checkout".into(), uid: "u1".into() };
        for (kind, api_version, expected) in [
            ("BrowserSession", "browser-operator.io/v1alpha1", Some(&key)),
            ("BrowserSession", "browser-operator.io/v1beta1", Some(&key)),
            ("BrowserSession", "browser-operator.io/v1", Some(&key)),
            ("BrowserSession", "browser-operator.io.example/v1alpha1", None),
            ("BrowserSession", "v1", None),
            ("BrowserPool", "browser-operator.io/v1alpha1", None),
        ] {
            assert_eq!(owned_by(kind, api_version).as_ref(), expected, "{api_version} {kind}");
        }
    }
}
