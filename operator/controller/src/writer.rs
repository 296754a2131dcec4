//! Every write to the API server. Nothing here decides.

use crds::{BrowserSession, BrowserSessionStatus};
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions, Request},
};

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
        let is_there = |status: &kube::core::Status| status.reason == "AlreadyExists";
        or_done(created, is_there).map_err(failed("create", "Pod", &pod.name_any()))
    }

    /// Deletes the pod of that uid, and no other of its name.
    pub async fn delete_pod(&self, pod: &Pod) -> Result<(), Error> {
        self.metrics.api_write("delete", "pods");
        let namespace = pod.namespace().unwrap_or_default();
        let pods = Api::<Pod>::namespaced(self.client.clone(), &namespace);
        let deleted = pods.delete(&pod.name_any(), &only(pod.metadata.uid.clone())).await.map(drop);
        or_gone(deleted).map_err(failed("delete", "Pod", &pod.name_any()))
    }

    pub async fn apply_service(&self, service: &Service) -> Result<(), Error> {
        self.metrics.api_write("apply", "services");
        let namespace = service.namespace().unwrap_or_default();
        let services = Api::<Service>::namespaced(self.client.clone(), &namespace);
        let params = PatchParams::apply(FIELD_MANAGER).force();
        services
            .patch(&service.name_any(), &params, &Patch::Apply(service))
            .await
            .map(drop)
            .map_err(failed("apply", "Service", &service.name_any()))
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

    /// Removes a record.
    pub async fn delete_session(&self, key: &SessionKey) -> Result<(), Error> {
        self.metrics.api_write("delete", "browsersessions");
        let sessions = Api::<Sent<BrowserSession>>::namespaced(self.client.clone(), &key.namespace);
        let deleted = sessions.delete(&key.name, &only(Some(key.uid.clone()))).await.map(drop);
        or_gone(deleted).map_err(failed("delete", "BrowserSession", &key.name))
    }
}

fn only(uid: Option<String>) -> DeleteParams {
    let preconditions = Preconditions { uid, resource_version: None };
    DeleteParams::background().preconditions(preconditions)
}

/// A refusal that says that it is done is none. Not every 409 does: a quota that is much asked for answers with one, too.
fn or_done(
    outcome: kube::Result<()>,
    is_done: impl FnOnce(&kube::core::Status) -> bool,
) -> kube::Result<()> {
    match outcome {
        Err(kube::Error::Api(status)) if is_done(&status) => Ok(()),
        outcome => outcome,
    }
}

/// Not there (404), or another of its name (409 of the precondition): either way what was to go is gone.
fn or_gone(outcome: kube::Result<()>) -> kube::Result<()> {
    or_done(outcome, |status| matches!(status.code, 404 | 409))
}
