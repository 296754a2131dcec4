//! Makes Chrome name another operating system than its own, in every page and worker from its first request on.
//!
//! CDP overrides the User-Agent of one target at a time, and for as long as the CDP session that did so is attached. So one
//! socket stays attached to all targets, and each new one waits until it has its override, as with clients that emulate devices.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use futures::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{error::Elapsed, timeout};
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_util::task::AbortOnDropHandle;

use super::endpoint::{BrowserSocket, Endpoint};

/// How long a browser may take until all its targets have the override.
const START_TIMEOUT: Duration = Duration::from_secs(10);
const OVERRIDE: &str = "Emulation.setUserAgentOverride";
/// A function of platform and user agent, for workers.
const WORKER_SCRIPT: &str = include_str!("worker_user_agent.js");

/// The browser has the override for as long as one of these is kept.
pub type UserAgentOverride = Arc<AbortOnDropHandle<()>>;

/// Why the browser has no override.
#[derive(Debug, thiserror::Error)]
pub enum OverrideError {
    #[error(transparent)]
    Socket(#[from] tungstenite::Error),
    #[error(transparent)]
    Timeout(#[from] Elapsed),
    #[error("the browser hung up")]
    Disconnected,
    #[error("the browser refused {OVERRIDE}: {0}")]
    Refused(Value),
}

/// Overrides the User-Agent of all targets that the browser has and will have. `params` are those of
/// `Emulation.setUserAgentOverride`.
pub async fn start(browser: &Endpoint, params: Value) -> Result<UserAgentOverride, OverrideError> {
    let mut connection = Connection {
        socket: browser.open().await?,
        params,
        next_id: 0,
        pending: HashMap::new(),
        workers: HashSet::new(),
        refusal: None,
    };
    timeout(START_TIMEOUT, connection.override_present_targets()).await??;
    let task = tokio::spawn(async move {
        if let Err(error) = connection.override_new_targets().await {
            // Most often the browser has gone, and its targets with it.
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the browser's targets are not told any more what to be shown as"
            );
        }
    });
    Ok(Arc::new(AbortOnDropHandle::new(task)))
}

/// A message of CDP, as far as it matters here: an answer or an event.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CdpMessage {
    id: Option<u64>,
    error: Option<Value>,
    method: Option<String>,
    /// The session that an event comes from.
    session_id: Option<String>,
    #[serde(default)]
    params: EventParams,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct EventParams {
    /// The session that was attached, or detached.
    session_id: Option<String>,
    target_info: TargetInfo,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TargetInfo {
    #[serde(rename = "type")]
    type_: String,
}

impl TargetInfo {
    fn is_worker(&self) -> bool {
        ["worker", "shared_worker", "service_worker"].contains(&self.type_.as_str())
    }
}

/// A command that has no answer yet.
struct PendingCommand {
    session: Option<String>,
    is_override: bool,
}

/// The socket that stays attached to all targets.
struct Connection {
    socket: BrowserSocket,
    params: Value,
    next_id: u64,
    pending: HashMap<u64, PendingCommand>,
    /// The sessions of workers.
    workers: HashSet<String>,
    /// The last refusal of a page.
    refusal: Option<OverrideError>,
}

impl Connection {
    /// Runs until every present target has answered.
    async fn override_present_targets(&mut self) -> Result<(), OverrideError> {
        self.auto_attach(None).await?;
        while !self.pending.is_empty() {
            if !self.receive().await? {
                return Err(OverrideError::Disconnected);
            }
        }
        match self.refusal.take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Runs until the browser has gone.
    async fn override_new_targets(&mut self) -> Result<(), OverrideError> {
        while self.receive().await? {}
        Ok(())
    }

    /// Handles one message. Returns whether there may be more.
    async fn receive(&mut self) -> Result<bool, OverrideError> {
        let Some(message) = self.socket.next().await else { return Ok(false) };
        let Message::Text(text) = message? else { return Ok(true) };
        let Ok(message) = serde_json::from_str::<CdpMessage>(&text) else { return Ok(true) };
        if let Some(id) = message.id {
            self.answered(id, message.error);
            return Ok(true);
        }
        match (message.method.as_deref(), message.params.session_id, message.session_id) {
            (Some("Target.attachedToTarget"), Some(session), _) => {
                if message.params.target_info.is_worker() {
                    self.workers.insert(session.clone());
                }
                self.override_target(&session).await?;
            }
            (Some("Target.detachedFromTarget"), Some(session), _) => {
                self.workers.remove(&session);
                // A detached session answers no more.
                self.pending.retain(|_, command| command.session.as_ref() != Some(&session));
            }
            // A service worker that was stopped begins again in the same session, and waits again.
            (Some("Inspector.targetReloadedAfterCrash"), _, Some(session)) => {
                self.override_target(&session).await?;
            }
            _ => {}
        }
        Ok(true)
    }

    /// Notes an override that a page refused. Other errors come from targets that are closing, or that cannot have targets
    /// below them.
    fn answered(&mut self, id: u64, error: Option<Value>) {
        let command = self.pending.remove(&id);
        if let (Some(PendingCommand { is_override: true, session: Some(session) }), Some(error)) =
            (command, error)
            && !self.workers.contains(&session)
        {
            let error = OverrideError::Refused(error);
            tracing::warn!(refused = %error, "a page is not shown as it was asked for");
            self.refusal = Some(error);
        }
    }

    /// Overrides the User-Agent of one target, and lets the target go on.
    async fn override_target(&mut self, session: &str) -> Result<(), OverrideError> {
        self.send(Some(session), OVERRIDE, self.params.clone()).await?;
        if self.workers.contains(session) {
            let (platform, user_agent) = (&self.params["platform"], &self.params["userAgent"]);
            let script = WORKER_SCRIPT.trim_end();
            let script = json!({"expression": format!("{script}({platform}, {user_agent})")});
            self.send(Some(session), "Runtime.evaluate", script).await?;
        }
        // Its frames of other sites, and its workers.
        self.auto_attach(Some(session)).await?;
        self.send(Some(session), "Runtime.runIfWaitingForDebugger", json!({})).await
    }

    async fn auto_attach(&mut self, session: Option<&str>) -> Result<(), OverrideError> {
        let params = json!({"autoAttach": true, "waitForDebuggerOnStart": true, "flatten": true});
        self.send(session, "Target.setAutoAttach", params).await
    }

    async fn send(
        &mut self,
        session: Option<&str>,
        method: &str,
        params: Value,
    ) -> Result<(), OverrideError> {
        let (id, session) = (self.next_id, session.map(ToOwned::to_owned));
        self.next_id += 1;
        let mut command = json!({"id": id, "method": method, "params": params});
        if let Some(session) = &session {
            command["sessionId"] = session.as_str().into();
        }
        self.pending.insert(id, PendingCommand { session, is_override: method == OVERRIDE });
        self.socket.send(Message::text(command.to_string())).await?;
        Ok(())
    }
}
