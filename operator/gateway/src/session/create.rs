//! Creates a session for a client: the object, and then the wait until the directory has it Ready.

use std::{sync::Arc, time::Duration};

use crds::BrowserSession;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, api::PostParams};
use placement::BroughtCredentials;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    abandon_guard::AbandonGuard, brought_secret::brought_secret, classes::Classes,
    controller_lease::ControllerLease, create_error::CreateError, directory::Directory,
    live::LiveSession, request::SessionRequest,
};
use crate::auth::Caller;

const FIELD_MANAGER: &str = "browser-operator-gateway";

#[derive(Clone)]
pub struct SessionCreator {
    pub client: Client,
    /// Where credentials are kept.
    pub operator_namespace: String,
    pub directory: Arc<Directory>,
    pub classes: Arc<Classes>,
    pub controller: Arc<ControllerLease>,
    /// The longest that a client waits.
    pub timeout: Duration,
    /// Cancelled when this replica can wait no longer.
    pub closing: CancellationToken,
    /// Owns what must be done after a client has left.
    pub tasks: TaskTracker,
}

/// How long a client waits, and what for.
#[derive(Clone, Copy, Debug)]
pub struct WaitPolicy {
    /// At most so long, and never longer than [`SessionCreator::timeout`].
    pub limit: Duration,
    /// Whether it waits for capacity, too.
    pub queues: bool,
}

impl WaitPolicy {
    /// As long as the administrator allows, for capacity too.
    pub const QUEUE: Self = Self { limit: Duration::MAX, queues: true };
}

impl SessionCreator {
    /// Creates a session and waits until it is Ready. It ends if this future or the guard is dropped before the guard is
    /// disarmed. A request that no class can ever satisfy creates nothing.
    pub async fn create(
        &self,
        caller: &Caller,
        mut request: SessionRequest,
        policy: WaitPolicy,
    ) -> Result<(Arc<LiveSession>, AbandonGuard), CreateError> {
        let class = self.classes.find(&request.spec, &caller.namespace).await?;
        if !self.controller.wait_until_held().await {
            return Err(CreateError::NoController(self.controller.not_held()));
        }
        // Another release in this cluster must know that it is not its own.
        request.spec.class_name = Some(class);
        let credentials = std::mem::take(&mut request.credentials);
        let object = request.into_object(caller);
        let (uid, guard) = self.create_object(object, credentials, &caller.namespace).await?;
        let limit = self.timeout.min(policy.limit);
        let ready = self.directory.wait_until_ready(&uid, policy.queues);
        let outcome = tokio::select! {
            outcome = tokio::time::timeout(limit, ready) => outcome,
            () = self.controller.abandoned() => {
                // Nobody would end it either.
                guard.delete();
                return Err(CreateError::NoController(self.controller.not_held()));
            }
            () = self.closing.cancelled() => return Err(CreateError::ShuttingDown),
        };
        match outcome {
            Ok(Ok(session)) => Ok((session, guard)),
            Ok(Err(not_ready)) => {
                if not_ready.is_out_of_capacity() {
                    // Nobody had it: a record would say nothing.
                    guard.delete();
                } else {
                    guard.disarm();
                }
                Err(CreateError::NotReady(not_ready))
            }
            Err(_) => Err(CreateError::TimedOut(self.directory.pending_reason(&uid), limit)),
        }
    }

    /// Creates the object in a task of its own: a client may leave while the API server works, and then the task's result is
    /// dropped, and its guard ends the session.
    async fn create_object(
        &self,
        object: BrowserSession,
        credentials: BroughtCredentials,
        namespace: &str,
    ) -> Result<(String, AbandonGuard), CreateError> {
        let api = Api::<BrowserSession>::namespaced(self.client.clone(), namespace);
        let operator_namespace = self.operator_namespace.clone();
        let secrets = Api::<Secret>::namespaced(self.client.clone(), &operator_namespace);
        let (tasks, namespace) = (self.tasks.clone(), namespace.to_owned());
        let creating = self.tasks.spawn(async move {
            let params =
                PostParams { field_manager: Some(FIELD_MANAGER.into()), ..Default::default() };
            let created = api
                .create(&params, &object)
                .await
                .map_err(|error| CreateError::from_api(&error, &namespace))?;
            let (Some(name), Some(uid)) =
                (created.metadata.name.clone(), created.metadata.uid.clone())
            else {
                return Err(CreateError::Cluster("the API server gave no name".to_owned()));
            };
            let guard = AbandonGuard::new(api, name, tasks);
            if credentials.is_empty() {
                return Ok((uid, guard));
            }
            // Until it is there, the controller makes no pod.
            let keeping = async {
                let metadata = &created.metadata;
                let secret = brought_secret(&credentials, metadata, &operator_namespace);
                secrets.create(&params, &secret.map_err(kube::Error::SerdeError)?).await
            };
            match keeping.await {
                Ok(_) => Ok((uid, guard)),
                Err(error) => {
                    guard.delete();
                    let message = format!("the credentials of its proxies are not kept: {error}");
                    Err(CreateError::Cluster(message))
                }
            }
        });
        creating.await.unwrap_or_else(|error| {
            Err(CreateError::Cluster(format!("the gateway is ending: {error}")))
        })
    }
}
