//! The Services: the namespace's, which names its browser pods, and a session's own.

use agent_api::paths::AGENT_PORT;
use crds::{BrowserSession, Expose, names};
use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::{apis::meta::v1::ObjectMeta, util::intstr::IntOrString},
};
use kube::Resource;

use super::metadata::{object_name, session_labels};
use crate::session_key::SessionKey;

/// Both IP families where the cluster has them.
const FAMILIES: &str = "PreferDualStack";

fn port() -> ServicePort {
    ServicePort {
        name: Some("webdriver".to_owned()),
        port: AGENT_PORT.into(),
        target_port: Some(IntOrString::Int(AGENT_PORT.into())),
        ..ServicePort::default()
    }
}

/// The headless Service of a namespace: it gives each pod its DNS name, without a write per session.
#[must_use]
pub fn browsers_service(namespace: &str) -> Service {
    let ours = [(names::MANAGED_BY_LABEL.to_owned(), names::MANAGED_BY.to_owned())];
    Service {
        metadata: ObjectMeta {
            name: Some(names::BROWSERS_SERVICE.to_owned()),
            namespace: Some(namespace.to_owned()),
            labels: Some(ours.clone().into()),
            ..ObjectMeta::default()
        },
        spec: Some(ServiceSpec {
            cluster_ip: Some("None".to_owned()),
            ip_family_policy: Some(FAMILIES.to_owned()),
            publish_not_ready_addresses: Some(true),
            selector: Some(ours.into()),
            ports: Some(vec![port()]),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

/// The Service that a session asked for.
#[must_use]
pub fn own_service(key: &SessionKey, session: &BrowserSession, expose: Expose) -> Service {
    Service {
        metadata: ObjectMeta {
            name: Some(object_name(key)),
            namespace: Some(key.namespace.clone()),
            labels: Some(session_labels(key)),
            owner_references: session.controller_owner_ref(&()).map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        spec: Some(ServiceSpec {
            ip_family_policy: Some(FAMILIES.to_owned()),
            type_: Some(expose.type_.as_str().to_owned()),
            selector: Some(session_labels(key)),
            ports: Some(vec![port()]),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}
