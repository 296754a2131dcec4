//! Making sessions for clients: an object is created, and the directory says when its browser is up.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crds::{
    BrowserSession, Reason,
    names::{CALLER_ANNOTATION, END_ANNOTATION, PROTOCOL_ANNOTATION, Protocol},
};
use kube::{
    Api, Client,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
};
use serde_json::json;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use wire::error::WebDriverError;

use crate::{
    caller::Caller,
    classes::Classes,
    directory::{Directory, Entry},
    own::Wanted,
};

/// Names of sessions that the gateway makes begin so.
const NAME_PREFIX: &str = "session-";
const FIELD_MANAGER: &str = "browser-operator-gateway";

/// Makes sessions.
#[derive(Clone)]
pub struct Sessions {
    /// The cluster.
    pub client: Client,
    /// Where they appear.
    pub directory: Arc<Directory>,
    /// What there is to be had.
    pub classes: Arc<Classes>,
    /// How long a client waits.
    pub timeout: Duration,
    /// Cancelled when this replica can wait no longer.
    pub closing: CancellationToken,
    /// Owns what must be done after a client has left.
    pub tasks: TaskTracker,
}

impl Sessions {
    /// Makes a session and waits until it is Ready. A caller that stops waiting takes its session along, and so does one that
    /// drops what it got before it has disarmed it.
    ///
    /// # Errors
    /// `session not created`, with the reason that the object has or would have; `invalid argument` where a value is none
    /// that is allowed. Nothing is made of what can never be had.
    pub async fn create(
        &self,
        caller: &Caller,
        wanted: Wanted,
        protocol: Protocol,
    ) -> Result<(Arc<Entry>, Abandon), WebDriverError> {
        self.classes.check(&wanted.spec).await?;
        let (uid, abandon) = self.make(object(caller, wanted, protocol), &caller.namespace).await?;
        let waiting = tokio::time::timeout(self.timeout, self.directory.outcome(&uid));
        let outcome = tokio::select! {
            outcome = waiting => outcome,
            () = self.closing.cancelled() => {
                return Err(WebDriverError::session_not_created("this replica is shutting down"));
            }
        };
        match outcome {
            Ok(Ok(entry)) => Ok((entry, abandon)),
            Ok(Err(over)) => {
                abandon.disarm();
                Err(WebDriverError::session_not_created(format!(
                    "{}: {}",
                    over.reason, over.message
                )))
            }
            Err(_) => {
                let why = self.directory.held_up_by(&uid).map_or_else(
                    || "the controller has not said why".to_owned(),
                    |why| format!("{}: {}", why.reason, why.message),
                );
                Err(WebDriverError::session_not_created(format!(
                    "no browser within {} seconds: {why}",
                    self.timeout.as_secs()
                )))
            }
        }
    }
}

impl Sessions {
    /// Creates the object, in a task of its own: a client may leave while the API server has it in hand, and then the
    /// task's result is dropped, and the object ended with it.
    async fn make(
        &self,
        object: BrowserSession,
        namespace: &str,
    ) -> Result<(String, Abandon), WebDriverError> {
        let api = Api::<BrowserSession>::namespaced(self.client.clone(), namespace);
        let (tasks, namespace) = (self.tasks.clone(), namespace.to_owned());
        let creating = self.tasks.spawn(async move {
            let params =
                PostParams { field_manager: Some(FIELD_MANAGER.into()), ..Default::default() };
            let created =
                api.create(&params, &object).await.map_err(|error| refusal(&error, &namespace))?;
            let (Some(name), Some(uid)) = (created.metadata.name, created.metadata.uid) else {
                return Err(WebDriverError::session_not_created("the API server gave no name"));
            };
            Ok((uid, Abandon { api, name, tasks, armed: true }))
        });
        creating.await.unwrap_or_else(|error| {
            Err(WebDriverError::session_not_created(format!("the gateway is ending: {error}")))
        })
    }
}

fn object(caller: &Caller, wanted: Wanted, protocol: Protocol) -> BrowserSession {
    let annotations: BTreeMap<String, String> = [
        (CALLER_ANNOTATION.to_owned(), caller.name.clone()),
        (PROTOCOL_ANNOTATION.to_owned(), protocol.as_str().to_owned()),
    ]
    .into();
    BrowserSession {
        metadata: ObjectMeta {
            generate_name: Some(NAME_PREFIX.to_owned()),
            annotations: Some(annotations),
            ..ObjectMeta::default()
        },
        spec: wanted.spec,
        status: None,
    }
}

fn refusal(error: &kube::Error, namespace: &str) -> WebDriverError {
    match error {
        // The schema and the rules of the object: what the client asked for is wrong.
        kube::Error::Api(status) if status.code == 422 => {
            WebDriverError::invalid_argument(status.message.clone())
        }
        kube::Error::Api(status) => WebDriverError::session_not_created(format!(
            "namespace {namespace}: {}",
            status.message
        )),
        other => {
            WebDriverError::session_not_created(format!("the API server did not answer: {other}"))
        }
    }
}

/// Ends the session unless disarmed: its client has left, or has been told that there is none.
pub struct Abandon {
    api: Api<BrowserSession>,
    name: String,
    tasks: TaskTracker,
    armed: bool,
}

impl Abandon {
    /// Its client has it.
    pub fn disarm(mut self) {
        self.armed = false;
    }
}

impl Drop for Abandon {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        let (api, name) = (self.api.clone(), std::mem::take(&mut self.name));
        self.tasks.spawn(async move {
            let end = json!({"metadata": {"annotations": {
                END_ANNOTATION: Reason::ClientGaveUp.as_str(),
            }}});
            if let Err(error) =
                api.patch_metadata(&name, &PatchParams::default(), &Patch::Merge(end)).await
            {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "an abandoned session stays until its limits"
                );
            }
        });
    }
}
