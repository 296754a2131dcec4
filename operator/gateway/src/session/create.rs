//! Making sessions for clients: an object is created, and the directory says when its browser is up.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crds::{
    BrowserSession, Reason,
    names::{CALLER_ANNOTATION, END_ANNOTATION, FRONT_ANNOTATION, PROTOCOL_ANNOTATION},
};
use kube::{
    Api, Client,
    api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams},
};
use placement::Refusal;
use serde_json::json;
use support::backoff::Backoff;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use webdriver::error::WebDriverError;

use crate::{
    auth::Caller,
    session::{Directory, LiveSession, NotReady, SessionRequest, classes::Classes},
};

/// Names of sessions that the gateway makes begin so.
const NAME_PREFIX: &str = "session-";
const FIELD_MANAGER: &str = "browser-operator-gateway";
/// How often the end of an abandoned session is asked for, and with what pauses.
const ABANDON_TRIES: usize = 6;
const ABANDON_RETRY: Backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(16));

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
    /// Why there is none. Nothing is made of what can never be had.
    pub async fn create(
        &self,
        caller: &Caller,
        wanted: SessionRequest,
        patience: WaitPolicy,
    ) -> Result<(Arc<LiveSession>, AbandonGuard), CreateError> {
        self.classes.check(&wanted.spec).await?;
        let (uid, abandon) = self.make(object(caller, wanted), &caller.namespace).await?;
        let limit = self.timeout.min(patience.limit);
        let waiting = tokio::time::timeout(limit, self.directory.outcome(&uid, patience.queues));
        let outcome = tokio::select! {
            outcome = waiting => outcome,
            () = self.closing.cancelled() => return Err(CreateError::ShuttingDown),
        };
        match outcome {
            Ok(Ok(entry)) => Ok((entry, abandon)),
            Ok(Err(over)) => {
                if over.is_out_of_capacity() {
                    // Nobody was to wait, and nobody has it: there is nothing to remember.
                    abandon.without_record();
                } else {
                    abandon.disarm();
                }
                Err(CreateError::NotReady(over))
            }
            Err(_) => Err(CreateError::Late(self.directory.held_up_by(&uid), limit)),
        }
    }
}

/// How long a client waits, and what for.
#[derive(Clone, Copy, Debug)]
pub struct WaitPolicy {
    /// No longer than so.
    pub limit: Duration,
    /// Whether it waits for its turn where there is no room.
    pub queues: bool,
}

impl WaitPolicy {
    /// As long as the administrator allows.
    pub const QUEUE: Self = Self { limit: Duration::MAX, queues: true };
}

/// Why there is no session.
#[derive(Debug)]
pub enum CreateError {
    /// It can never be had here.
    Refused(Refusal),
    /// The API server does not take it: its schema and its rules.
    Invalid(String),
    /// A ResourceQuota of the namespace does not take another object.
    Quota(String),
    /// It ended before it was Ready, or has to wait for its turn.
    NotReady(NotReady),
    /// It was not Ready in time; what held it up, as far as is known.
    Late(Option<NotReady>, Duration),
    /// The API server did not do it.
    Cluster(String),
    /// This replica is going.
    ShuttingDown,
}

impl From<Refusal> for CreateError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl std::fmt::Display for CreateError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(refusal) => write!(f, "{}: {}", refusal.reason, refusal.message()),
            Self::Invalid(message) | Self::Quota(message) | Self::Cluster(message) => {
                f.write_str(message)
            }
            Self::NotReady(NotReady { reason, message }) => write!(f, "{reason}: {message}"),
            Self::Late(why, limit) => {
                write!(f, "no browser within {} seconds: ", limit.as_secs())?;
                match why {
                    Some(NotReady { reason, message }) => write!(f, "{reason}: {message}"),
                    None => f.write_str("the controller has not said why"),
                }
            }
            Self::ShuttingDown => f.write_str("this replica is shutting down"),
        }
    }
}

impl From<CreateError> for WebDriverError {
    fn from(error: CreateError) -> Self {
        let message = error.to_string();
        // A value that is none, not something that is not to be had.
        let is_invalid = match &error {
            CreateError::Invalid(_) => true,
            CreateError::Refused(refusal) => {
                matches!(refusal.reason, Reason::CapabilitiesInvalid | Reason::FieldInvalid)
            }
            _ => false,
        };
        if is_invalid {
            Self::invalid_argument(message)
        } else {
            Self::session_not_created(message)
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
    ) -> Result<(String, AbandonGuard), CreateError> {
        let api = Api::<BrowserSession>::namespaced(self.client.clone(), namespace);
        let (tasks, namespace) = (self.tasks.clone(), namespace.to_owned());
        let creating = self.tasks.spawn(async move {
            let params =
                PostParams { field_manager: Some(FIELD_MANAGER.into()), ..Default::default() };
            let created =
                api.create(&params, &object).await.map_err(|error| refusal(&error, &namespace))?;
            let (Some(name), Some(uid)) = (created.metadata.name, created.metadata.uid) else {
                return Err(CreateError::Cluster("the API server gave no name".to_owned()));
            };
            Ok((
                uid,
                AbandonGuard {
                    api,
                    name,
                    tasks,
                    armed: true,
                    reason: Reason::ClientGaveUp,
                    keeps_record: true,
                },
            ))
        });
        creating.await.unwrap_or_else(|error| {
            Err(CreateError::Cluster(format!("the gateway is ending: {error}")))
        })
    }
}

fn object(caller: &Caller, wanted: SessionRequest) -> BrowserSession {
    let mut annotations: BTreeMap<String, String> = [
        (CALLER_ANNOTATION.to_owned(), caller.name.clone()),
        (PROTOCOL_ANNOTATION.to_owned(), wanted.protocol.as_str().to_owned()),
    ]
    .into();
    annotations.extend(wanted.front.map(|front| (FRONT_ANNOTATION.to_owned(), front.to_string())));
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

fn refusal(error: &kube::Error, namespace: &str) -> CreateError {
    match error {
        // The schema and the rules of the object: what the client asked for is wrong.
        kube::Error::Api(status) if status.code == 422 => {
            CreateError::Invalid(status.message.clone())
        }
        kube::Error::Api(status) => {
            let message = format!("namespace {namespace}: {}", status.message);
            if status.code == 403 && message.contains("exceeded quota") {
                CreateError::Quota(message)
            } else {
                CreateError::Cluster(message)
            }
        }
        other => CreateError::Cluster(format!("the API server did not answer: {other}")),
    }
}

/// Ends the session unless disarmed: its client has left, or has been told that there is none.
pub struct AbandonGuard {
    api: Api<BrowserSession>,
    name: String,
    tasks: TaskTracker,
    armed: bool,
    reason: Reason,
    keeps_record: bool,
}

impl AbandonGuard {
    /// Its pod cannot be reached: that is why it is given up.
    pub fn lost(mut self) {
        self.reason = Reason::AgentLost;
    }

    /// It goes, and its record with it.
    fn without_record(mut self) {
        self.keeps_record = false;
    }

    /// Its client has it.
    pub fn disarm(mut self) {
        self.armed = false;
    }
}

impl Drop for AbandonGuard {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        let (api, name) = (self.api.clone(), std::mem::take(&mut self.name));
        let (reason, keeps_record) = (self.reason, self.keeps_record);
        self.tasks.spawn(async move {
            let end = json!({"metadata": {"annotations": {
                END_ANNOTATION: reason.as_str(),
            }}});
            // The API server may be away for a moment; a session without a client must not keep its place.
            for pause in ABANDON_RETRY.pauses().take(ABANDON_TRIES) {
                let done = if keeps_record {
                    let patch = Patch::Merge(&end);
                    api.patch_metadata(&name, &PatchParams::default(), &patch).await.map(drop)
                } else {
                    api.delete(&name, &DeleteParams::default()).await.map(drop)
                };
                match done {
                    Ok(()) => return,
                    Err(kube::Error::Api(status)) if status.code == 404 => return,
                    Err(error) => {
                        let error = &error as &dyn std::error::Error;
                        tracing::warn!(error, "an abandoned session is not ended yet");
                    }
                }
                tokio::time::sleep(pause).await;
            }
        });
    }
}
