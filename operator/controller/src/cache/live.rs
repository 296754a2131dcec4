//! Reads of the API server itself, where a watch says that something is not there.

use std::collections::BTreeMap;

use agent_api::PodRef;
use crds::{BrowserClass, BrowserSession};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::{Api, Client, Resource};
use support::objects::{self, Sent};

use crate::session_key::SessionKey;

/// Whether the session of that uid is there and not being deleted.
pub async fn has_session(client: &Client, key: &SessionKey) -> kube::Result<bool> {
    let sessions = Api::<Sent<BrowserSession>>::namespaced(client.clone(), &key.namespace);
    let session = sessions.get_opt(&key.name).await?;
    Ok(session.is_some_and(|session| {
        let metadata = session.meta();
        metadata.uid.as_ref() == Some(&key.uid) && metadata.deletion_timestamp.is_none()
    }))
}

/// Whether the pod is there and the session's.
pub async fn has_pod(client: &Client, pod: &PodRef, holder: &SessionKey) -> kube::Result<bool> {
    let pods = Api::<Pod>::namespaced(client.clone(), &pod.namespace);
    let pod = pods.get_metadata_opt(&pod.name).await?;
    Ok(pod.is_some_and(|pod| SessionKey::of_owner(&pod.metadata).as_ref() == Some(holder)))
}

/// Every class of a controller that can be read.
pub async fn classes(client: &Client, controller: &str) -> kube::Result<Vec<BrowserClass>> {
    let mut classes = objects::list::<BrowserClass>(&Api::all(client.clone())).await?;
    classes.retain(|class| class.spec.controller_name == controller);
    Ok(classes)
}

/// The labels of a namespace, if there is one.
pub async fn namespace_labels(
    client: &Client,
    name: &str,
) -> kube::Result<Option<BTreeMap<String, String>>> {
    let namespace = Api::<Namespace>::all(client.clone()).get_metadata_opt(name).await?;
    Ok(namespace.map(|namespace| namespace.metadata.labels.unwrap_or_default()))
}
