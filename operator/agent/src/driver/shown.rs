//! A Chrome that names another operating system than its own, in every page and worker from its first request on.
//!
//! The protocol has this for one target at a time, and for as long as whoever said so is attached. So one socket stays attached
//! to all of them: each new target waits until it has been told, as with the clients that emulate devices.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use futures::{SinkExt, StreamExt};
use net::BoxError;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};
use tokio_util::task::AbortOnDropHandle;

use super::kind::Endpoint;

/// How long a browser may take until all that it has is told.
const LIMIT: Duration = Duration::from_secs(10);
const OVERRIDE: &str = "Emulation.setUserAgentOverride";
/// What the override does not do in workers (seen with Chromium 156): their platform, and of those that belong to no page the
/// user agent, too.
const IN_WORKER: &str = "((platform, userAgent) => {
    const set = (name, value) => Object.defineProperty(WorkerNavigator.prototype, name, {
        get: () => value, enumerable: true, configurable: true,
    });
    set('platform', platform);
    set('userAgent', userAgent);
    set('appVersion', userAgent.replace('Mozilla/', ''));
})";

/// As long as one of these is kept, the browser is shown so.
pub type Shown = Arc<AbortOnDropHandle<()>>;

/// Tells all that a browser has, and sees to it that what it makes later is told. `how`: the parameters of
/// `Emulation.setUserAgentOverride`.
///
/// # Errors
/// The browser refuses, hangs up, or does not answer in time.
pub async fn show(browser: &Endpoint, how: Value) -> Result<Shown, BoxError> {
    let mut teller = Teller {
        browser: browser.open().await?,
        how,
        next: 0,
        asked: HashMap::new(),
        workers: HashSet::new(),
        refused: None,
    };
    timeout(LIMIT, teller.tell_all()).await??;
    let task = tokio::spawn(async move {
        if let Err(error) = teller.tell_others().await {
            // Most often the browser has gone, and with it whom it could have told.
            tracing::warn!(
                error,
                "the browser's targets are not told any more what to be shown as"
            );
        }
    });
    Ok(Arc::new(AbortOnDropHandle::new(task)))
}

/// What the browser says, as far as it matters.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Heard {
    id: Option<u64>,
    error: Option<Value>,
    method: Option<String>,
    /// Which target's session says so.
    session_id: Option<String>,
    #[serde(default)]
    params: About,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct About {
    /// Which session has come, or gone.
    session_id: Option<String>,
    target_info: Target,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Target {
    #[serde(rename = "type")]
    type_: String,
}

impl Target {
    fn is_worker(&self) -> bool {
        ["worker", "shared_worker", "service_worker"].contains(&self.type_.as_str())
    }
}

/// A command that has no answer yet.
struct Asked {
    session: Option<String>,
    is_override: bool,
}

struct Teller {
    browser: WebSocketStream<TcpStream>,
    how: Value,
    next: u64,
    asked: HashMap<u64, Asked>,
    /// The sessions of workers.
    workers: HashSet<String>,
    refused: Option<String>,
}

impl Teller {
    /// Until everything that there is has answered.
    async fn tell_all(&mut self) -> Result<(), BoxError> {
        self.attach(None).await?;
        while !self.asked.is_empty() {
            if !self.hear().await? {
                return Err("the browser hung up".into());
            }
        }
        match self.refused.take() {
            Some(refused) => Err(refused.into()),
            None => Ok(()),
        }
    }

    /// Until the browser has gone.
    async fn tell_others(&mut self) -> Result<(), BoxError> {
        while self.hear().await? {}
        Ok(())
    }

    /// Hears one message; `false`: there are no more.
    async fn hear(&mut self) -> Result<bool, BoxError> {
        let Some(message) = self.browser.next().await else { return Ok(false) };
        let Message::Text(text) = message? else { return Ok(true) };
        let Ok(heard) = serde_json::from_str::<Heard>(&text) else { return Ok(true) };
        if let Some(id) = heard.id {
            self.answered(id, heard.error);
            return Ok(true);
        }
        match (heard.method.as_deref(), heard.params.session_id, heard.session_id) {
            (Some("Target.attachedToTarget"), Some(session), _) => {
                if heard.params.target_info.is_worker() {
                    self.workers.insert(session.clone());
                }
                self.tell(&session).await?;
            }
            (Some("Target.detachedFromTarget"), Some(session), _) => {
                self.workers.remove(&session);
                // It answers no more.
                self.asked.retain(|_, asked| asked.session.as_ref() != Some(&session));
            }
            // A service worker that was stopped begins again in the same session, and waits again.
            (Some("Inspector.targetReloadedAfterCrash"), _, Some(session)) => {
                self.tell(&session).await?;
            }
            _ => {}
        }
        Ok(true)
    }

    /// What is refused for another reason than the override concerns targets that go, or that have no others below them.
    fn answered(&mut self, id: u64, error: Option<Value>) {
        let asked = self.asked.remove(&id);
        if let (Some(Asked { is_override: true, session: Some(session) }), Some(error)) =
            (asked, error)
            && !self.workers.contains(&session)
        {
            let refused = format!("the browser refused {OVERRIDE}: {error}");
            tracing::warn!(refused, "a page is not shown as it was asked for");
            self.refused = Some(refused);
        }
    }

    /// Tells one target, and lets it go on.
    async fn tell(&mut self, session: &str) -> Result<(), BoxError> {
        self.send(Some(session), OVERRIDE, self.how.clone()).await?;
        if self.workers.contains(session) {
            let (platform, user_agent) = (&self.how["platform"], &self.how["userAgent"]);
            let script = json!({"expression": format!("{IN_WORKER}({platform}, {user_agent})")});
            self.send(Some(session), "Runtime.evaluate", script).await?;
        }
        // Its frames of other sites, and its workers.
        self.attach(Some(session)).await?;
        self.send(Some(session), "Runtime.runIfWaitingForDebugger", json!({})).await
    }

    async fn attach(&mut self, session: Option<&str>) -> Result<(), BoxError> {
        let how = json!({"autoAttach": true, "waitForDebuggerOnStart": true, "flatten": true});
        self.send(session, "Target.setAutoAttach", how).await
    }

    async fn send(
        &mut self,
        session: Option<&str>,
        method: &str,
        params: Value,
    ) -> Result<(), BoxError> {
        let (id, session) = (self.next, session.map(ToOwned::to_owned));
        self.next += 1;
        let mut command = json!({"id": id, "method": method, "params": params});
        if let Some(session) = &session {
            command["sessionId"] = session.as_str().into();
        }
        self.asked.insert(id, Asked { session, is_override: method == OVERRIDE });
        self.browser.send(Message::text(command.to_string())).await?;
        Ok(())
    }
}
