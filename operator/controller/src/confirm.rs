//! Looks at the API server itself, where a watch says that something is not there.

use crds::{BrowserClass, BrowserSession};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, api::ListParams};

use crate::key::Key;

/// Whether the session of that life is there.
pub async fn has_session(client: &Client, key: &Key) -> kube::Result<bool> {
    let sessions = Api::<BrowserSession>::namespaced(client.clone(), &key.namespace);
    let session = sessions.get_metadata_opt(&key.name).await?;
    Ok(session.is_some_and(|session| {
        session.metadata.uid.as_ref() == Some(&key.uid)
            && session.metadata.deletion_timestamp.is_none()
    }))
}

/// Whether the pod is there.
pub async fn has_pod(client: &Client, key: &Key, name: &str) -> kube::Result<bool> {
    let pods = Api::<Pod>::namespaced(client.clone(), &key.namespace);
    let pod = pods.get_metadata_opt(name).await?;
    Ok(pod.is_some_and(|pod| Key::of_owner(&pod.metadata).as_ref() == Some(key)))
}

/// Every class.
pub async fn classes(client: &Client) -> kube::Result<Vec<BrowserClass>> {
    Ok(Api::<BrowserClass>::all(client.clone()).list(&ListParams::default()).await?.items)
}
