//! What `placement` is asked about a session.

use std::collections::BTreeMap;

use crds::{BrowserClass, BrowserSession, names};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use placement::{Namespace, Placement, Refusal, Request};

/// See [`placement::place`]. `labels`: the namespace's, if they have been asked for.
///
/// # Errors
/// It can never be had as this cluster is.
pub fn place<'a>(
    session: &BrowserSession,
    classes: &'a [BrowserClass],
    labels: Option<&BTreeMap<String, String>>,
) -> Result<Placement<'a>, Refusal> {
    placement::place(&request(session, labels), classes)
}

fn request<'a>(
    session: &'a BrowserSession,
    labels: Option<&'a BTreeMap<String, String>>,
) -> Request<'a> {
    let name = session.metadata.namespace.as_deref().unwrap_or_default();
    Request {
        spec: &session.spec,
        namespace: Namespace { name, labels },
        // The stores have only this controller's classes.
        controller_name: None,
    }
}

/// The class that a pod was made of, if it still exists.
#[must_use]
pub fn class_of<'a>(pod: &Pod, classes: &'a [BrowserClass]) -> Option<&'a BrowserClass> {
    let name = pod.labels().get(names::CLASS_LABEL)?;
    classes.iter().find(|class| class.metadata.name.as_ref() == Some(name))
}
