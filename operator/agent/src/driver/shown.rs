//! A Chrome that names another operating system than its own, in every page and worker from its first request on.
//!
//! The protocol has this for one target at a time, and for as long as whoever said so is attached. So one socket stays attached
//! to all of them: each new target waits until it has been told, as with the clients that emulate devices.

use std::{sync::Arc, time::Duration};

use futures::{SinkExt, StreamExt};
use runtime::http::BoxError;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{WebSocketStream, client_async_with_config, tungstenite::Message};
use tokio_util::task::AbortOnDropHandle;

use super::kind::Endpoint;
use crate::socket;

/// How long a browser may take until all that it has is told.
const LIMIT: Duration = Duration::from_secs(10);

/// What the override does not do in a worker (seen with Chromium 156), to be called with the platform's word.
const PLATFORM: &str = "(platform => Object.defineProperty(WorkerNavigator.prototype, 'platform', {
    get: () => platform, enumerable: true, configurable: true,
}))";

/// As long as one of these is kept, the browser is shown so.
pub type Shown = Arc<AbortOnDropHandle<()>>;

/// Tells all that a browser has, and sees to it that what it makes later is told. `how`: the parameters of
/// `Emulation.setUserAgentOverride`.
///
/// # Errors
/// The browser hangs up, or does not answer in time.
pub async fn show(browser: &Endpoint, how: Value) -> Result<Shown, BoxError> {
    let stream = browser.connect().await?;
    let (browser, _) =
        client_async_with_config(browser.url(), stream, Some(socket::config())).await?;
    let mut teller = Teller { browser, how, next: 0, unanswered: 0 };
    timeout(LIMIT, teller.tell_all()).await??;
    let task = tokio::spawn(async move {
        // The browser has gone, and with it whom it could have told.
        if let Err(error) = teller.tell_others().await {
            tracing::debug!(error, "the browser's targets");
        }
    });
    Ok(Arc::new(AbortOnDropHandle::new(task)))
}

#[derive(Deserialize)]
struct Heard {
    id: Option<u64>,
    method: Option<String>,
    #[serde(default)]
    params: Attached,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Attached {
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

struct Teller {
    browser: WebSocketStream<TcpStream>,
    how: Value,
    next: u64,
    unanswered: usize,
}

impl Teller {
    /// Until everything that there is has answered.
    async fn tell_all(&mut self) -> Result<(), BoxError> {
        self.attach(None).await?;
        while self.unanswered > 0 {
            if !self.hear().await? {
                return Err("the browser hung up".into());
            }
        }
        Ok(())
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
        let heard: Heard = serde_json::from_str(&text)?;
        if heard.id.is_some() {
            // A target that has gone meanwhile, or that knows no such command, says so; there is nothing to be done.
            self.unanswered = self.unanswered.saturating_sub(1);
        } else if heard.method.as_deref() == Some("Target.attachedToTarget")
            && let Some(session) = heard.params.session_id
        {
            self.send(Some(&session), "Emulation.setUserAgentOverride", self.how.clone()).await?;
            if heard.params.target_info.is_worker() {
                let script = format!("{PLATFORM}({})", self.how["platform"]);
                let evaluate = json!({"expression": script});
                self.send(Some(&session), "Runtime.evaluate", evaluate).await?;
            }
            // Its frames of other sites, and its workers.
            self.attach(Some(&session)).await?;
            self.send(Some(&session), "Runtime.runIfWaitingForDebugger", json!({})).await?;
        }
        Ok(true)
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
        let mut command = json!({"id": self.next, "method": method, "params": params});
        if let Some(session) = session {
            command["sessionId"] = session.into();
        }
        self.next += 1;
        self.unanswered += 1;
        self.browser.send(Message::text(command.to_string())).await?;
        Ok(())
    }
}
