//! Every write to the API server. Nothing here decides.

use std::fmt::Debug;

use crds::{BrowserClass, BrowserClassStatus, BrowserSession, BrowserSessionStatus, names};
use k8s_openapi::{
    api::{
        core::v1::{Pod, Service},
        networking::v1::NetworkPolicy,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, PostParams, Preconditions, Request},
    core::{NamespaceResourceScope, Status},
};
use serde::{Serialize, de::DeserializeOwned};

use support::objects::Sent;

use crate::{build::FIELD_MANAGER, metrics::Metrics, session_key::SessionKey};

/// What the API server refused.
#[derive(Debug, thiserror::Error)]
#[error("{action} {kind} {name}")]
pub struct Error {
    action: &'static str,
    kind: &'static str,
    name: String,
    #[source]
    source: kube::Error,
}

impl Error {
    /// The status code of the API server's answer, if it answered.
    pub fn code(&self) -> Option<u16> {
        match &self.source {
            kube::Error::Api(status) => Some(status.code),
            _ => None,
        }
    }

    /// Whether it is about an object of that kind.
    pub fn is_of(&self, kind: &str) -> bool {
        self.kind == kind
    }

    /// Whether somebody else's object has the name that ours needs.
    pub fn is_foreign(&self) -> bool {
        matches!(&self.source, kube::Error::Api(status) if status.reason == FOREIGN)
    }

    /// The API server's words.
    pub fn message(&self) -> String {
        match &self.source {
            kube::Error::Api(status) => status.message.clone(),
            other => other.to_string(),
        }
    }
}

fn failed(
    action: &'static str,
    kind: &'static str,
    name: &str,
) -> impl FnOnce(kube::Error) -> Error {
    let name = name.to_owned();
    move |source| Error { action, kind, name, source }
}

fn creating() -> PostParams {
    PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() }
}

/// Writes, and counts the writes.
#[derive(Clone)]
pub struct Writer {
    pub client: Client,
    pub metrics: Metrics,
}

impl Writer {
    /// Creates a pod. One that is there already was made by the other controller, or by this one before its watch saw it.
    pub async fn create_pod(&self, pod: &Pod) -> Result<(), Error> {
        self.metrics.api_write("create", "pods");
        let namespace = pod.namespace().unwrap_or_default();
        let pods = Api::<Pod>::namespaced(self.client.clone(), &namespace);
        let created = pods.create(&creating(), pod).await.map(drop);
        let is_there = |status: &Status| status.reason == "AlreadyExists";
        or_done(created, is_there).map_err(failed("create", "Pod", &pod.name_any()))
    }

    /// Deletes the pod of that uid, and no other of its name.
    pub async fn delete_pod(&self, pod: &Pod) -> Result<(), Error> {
        let namespace = pod.namespace().unwrap_or_default();
        self.delete_seen::<Pod>(&namespace, &pod.name_any(), pod.metadata.uid.clone()).await
    }

    /// Creates a Service. One of its name that is there already may be ours: then nothing is made, which is `None`;
    /// somebody else's is left alone.
    pub async fn create_service(&self, service: &Service) -> Result<Option<Service>, Error> {
        self.metrics.api_write("create", "services");
        self.create_shared("Service", service).await
    }

    /// Creates a NetworkPolicy, as a Service is created.
    pub async fn create_policy(
        &self,
        policy: &NetworkPolicy,
    ) -> Result<Option<NetworkPolicy>, Error> {
        self.metrics.api_write("create", "networkpolicies");
        self.create_shared("NetworkPolicy", policy).await
    }

    async fn create_shared<K>(&self, kind: &'static str, object: &K) -> Result<Option<K>, Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned
            + Serialize,
    {
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        let objects = Api::<K>::namespaced(self.client.clone(), &namespace);
        let creating = async {
            match objects.create(&creating(), object).await {
                Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => {
                    let there = objects.get_metadata_opt(&name).await?;
                    if there.is_none_or(|there| is_ours(&there.metadata)) {
                        Ok(None)
                    } else {
                        Err(kube::Error::Api(Box::new(foreign(kind, &name))))
                    }
                }
                outcome => outcome.map(Some),
            }
        };
        creating.await.map_err(failed("create", kind, &name))
    }

    /// Replaces a NetworkPolicy, if it is still the one that was seen, as it was seen.
    pub async fn replace_policy(
        &self,
        policy: &NetworkPolicy,
        seen: &ObjectMeta,
    ) -> Result<NetworkPolicy, Error> {
        self.metrics.api_write("update", "networkpolicies");
        let (namespace, name) = (policy.namespace().unwrap_or_default(), policy.name_any());
        let policies = Api::<NetworkPolicy>::namespaced(self.client.clone(), &namespace);
        let mut policy = policy.clone();
        policy.metadata.uid.clone_from(&seen.uid);
        policy.metadata.resource_version.clone_from(&seen.resource_version);
        let replaced = policies.replace(&name, &creating(), &policy).await;
        replaced.map_err(failed("replace", "NetworkPolicy", &name))
    }

    /// Deletes an object of a namespace, if it is still the one that was seen.
    pub async fn delete_seen<K>(
        &self,
        namespace: &str,
        name: &str,
        uid: Option<String>,
    ) -> Result<(), Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + k8s_openapi::Resource
            + Clone
            + Debug
            + DeserializeOwned,
    {
        self.metrics.api_write("delete", K::URL_PATH_SEGMENT);
        let objects = Api::<K>::namespaced(self.client.clone(), namespace);
        let deleted = objects.delete(name, &only(uid)).await.map(drop);
        or_gone(deleted).map_err(failed("delete", K::KIND, name))
    }

    /// Deletes a session's own Service; its owner reference would do so too, but later.
    pub async fn delete_service(&self, key: &SessionKey, name: &str) -> Result<(), Error> {
        self.metrics.api_write("delete", "services");
        let services = Api::<Service>::namespaced(self.client.clone(), &key.namespace);
        let deleted = services.delete(name, &DeleteParams::default()).await.map(drop);
        or_gone(deleted).map_err(failed("delete", "Service", name))
    }

    /// Writes a status, if the session is still as it was read.
    pub async fn write_status(
        &self,
        key: &SessionKey,
        session: &BrowserSession,
        status: BrowserSessionStatus,
    ) -> Result<Sent<BrowserSession>, Error> {
        self.metrics.api_write("update", "browsersessions/status");
        let written = BrowserSession { status: Some(status), ..session.clone() };
        // The spec of the answer may be one that cannot be read; that of the request is not looked at.
        let writing = async {
            let body = serde_json::to_vec(&written).map_err(kube::Error::SerdeError)?;
            let request = Request::new(BrowserSession::url_path(&(), Some(&key.namespace)))
                .replace_subresource("status", &key.name, &creating(), body)
                .map_err(kube::Error::BuildRequest)?;
            self.client.request(request).await
        };
        writing.await.map_err(failed("update the status of", "BrowserSession", &key.name))
    }

    /// Writes a class's status, if the class is still as it was read.
    pub async fn write_class_status(
        &self,
        class: &BrowserClass,
        status: BrowserClassStatus,
    ) -> Result<(), Error> {
        self.metrics.api_write("update", "browserclasses/status");
        let name = class.name_any();
        let written = BrowserClass { status: Some(status), ..class.clone() };
        let classes = Api::<BrowserClass>::all(self.client.clone());
        let writing = classes.replace_status(&name, &creating(), &written).await.map(drop);
        writing.map_err(failed("update the status of", "BrowserClass", &name))
    }

    /// Removes a record.
    pub async fn delete_session(&self, key: &SessionKey) -> Result<(), Error> {
        self.metrics.api_write("delete", "browsersessions");
        let sessions = Api::<Sent<BrowserSession>>::namespaced(self.client.clone(), &key.namespace);
        let deleted = sessions.delete(&key.name, &only(Some(key.uid.clone()))).await.map(drop);
        or_gone(deleted).map_err(failed("delete", "BrowserSession", &key.name))
    }
}

const FOREIGN: &str = "NameTaken";

fn is_ours(metadata: &ObjectMeta) -> bool {
    let labels = metadata.labels.as_ref();
    labels.and_then(|labels| labels.get(names::MANAGED_BY_LABEL)).map(String::as_str)
        == Some(names::MANAGED_BY)
}

/// As if the API server had refused it: it does not know whose an object is.
fn foreign(kind: &str, name: &str) -> Status {
    let (label, value) = (names::MANAGED_BY_LABEL, names::MANAGED_BY);
    let message = format!(
        "the namespace has a {kind} {name} that is not the operator's: it lacks the label {label}: {value}"
    );
    Status::failure(&message, FOREIGN).with_code(422)
}

fn only(uid: Option<String>) -> DeleteParams {
    let preconditions = Preconditions { uid, resource_version: None };
    DeleteParams::background().preconditions(preconditions)
}

/// A refusal that says that it is done is none. Not every 409 does: a quota that is much asked for answers with one, too.
fn or_done(outcome: kube::Result<()>, is_done: impl FnOnce(&Status) -> bool) -> kube::Result<()> {
    match outcome {
        Err(kube::Error::Api(status)) if is_done(&status) => Ok(()),
        outcome => outcome,
    }
}

/// Not there (404), or another of its name (409 of the precondition): either way what was to go is gone.
fn or_gone(outcome: kube::Result<()>) -> kube::Result<()> {
    or_done(outcome, |status| matches!(status.code, 404 | 409))
}
