//! What the controller asks of a pod's agent: to take a session, and to end it.

use std::{net::IpAddr, time::Duration};

use agent_api::{
    End,
    bind::{BindRefusal, BindReply, BindRequest, Egress, EgressReply, Settings, VERSION},
    paths::{BIND_PATH, EGRESS_PATH, END_PATH, START_PATH},
    pod_token::PodToken,
    start::StartReport,
};
use bytes::Bytes;
use crds::{BrowserSession, Reason, names::Protocol};
use http::{HeaderMap, Method, StatusCode};
use net::{
    agent::{self, Agent},
    body::{self, collect},
    forward,
};
use parking_lot::Mutex;
use serde::Serialize;
use support::backoff::Backoff;
use tokio::time::{sleep, timeout};
use webdriver::capabilities::CapabilitySet;

use super::egress::NO_LISTS;
use crate::{build::new_session, pods::Problem};

/// The most bytes of an agent's answer.
const MAX_REPLY: usize = 16 << 20;
/// While an agent does not listen yet: at first short, because most are up soon.
const BIND_BACKOFF: Backoff = Backoff::new(Duration::from_millis(3), Duration::from_millis(250));
/// How long an agent may take to accept its end.
const END_TIMEOUT: Duration = Duration::from_secs(2);
/// How long an agent may take to change its routes.
const ROUTE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an agent may take to say what holds its start up, and the most bytes of that.
const REPORT_TIMEOUT: Duration = Duration::from_secs(2);
const MAX_REPORT: usize = 64 << 10;

/// Why a call got no answer.
#[derive(Debug, thiserror::Error)]
enum CallError {
    #[error("the message cannot be sent")]
    Message(#[from] serde_json::Error),
    #[error("the message cannot be sent")]
    Uri(#[from] http::Error),
    #[error(transparent)]
    Agent(#[from] agent::Error),
    #[error(transparent)]
    Body(#[from] body::Error),
}

/// The error and its cause, in one line.
fn describe(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// The request that gives a pod to a session.
pub fn bind_request(
    session: &BrowserSession,
    uid: &str,
    session_id: String,
    capabilities: &CapabilitySet,
    timeout_seconds: i32,
    egress: Egress,
) -> BindRequest {
    let spec = &session.spec;
    let seconds = |n: i32| u32::try_from(n).unwrap_or(0);
    BindRequest {
        version: VERSION,
        session_uid: uid.to_owned(),
        session_id,
        session: new_session(spec, capabilities),
        settings: Settings {
            timeout_seconds: seconds(timeout_seconds),
            idle_timeout_seconds: seconds(spec.idle_timeout_seconds),
            connect_timeout_seconds: seconds(spec.connect_timeout_seconds),
            keep_alive: spec.keep_alive,
            bidi_only: session.protocol() == Protocol::Bidi,
            exposed: spec.expose.is_some(),
            start_url: spec.start_url.clone(),
            viewport: spec.viewport.map(|viewport| (viewport.width, viewport.height)),
        },
        egress: Some(egress),
    }
}

/// A bind that is under way.
pub struct BindCall {
    agent: Agent,
    /// What came of the last attempt; `None` while its answer is awaited.
    last: Mutex<Option<String>>,
}

impl BindCall {
    pub fn new(ip: IpAddr, token: PodToken) -> Self {
        Self { agent: Agent::new(ip, token), last: Mutex::default() }
    }

    /// Binds. An agent that does not listen yet is asked again; once it listens, it answers when its browser is up.
    ///
    /// # Errors
    /// It refuses, however often it is asked.
    pub async fn bind(&self, request: &BindRequest) -> Result<BindReply, End> {
        let mut pauses = BIND_BACKOFF.pauses();
        loop {
            *self.last.lock() = None;
            match post(&self.agent, BIND_PATH, request).await {
                // The network held the message up.
                Ok((StatusCode::REQUEST_TIMEOUT, body)) => {
                    *self.last.lock() = Some(String::from_utf8_lossy(&body).into_owned());
                }
                Ok((status, body)) => return read_reply(status, &body),
                Err(error) => *self.last.lock() = Some(describe(&error)),
            }
            sleep(pauses.next().unwrap_or_default()).await;
        }
    }

    /// The end of a session whose agent has not answered in time: one that listens says what it waits for.
    pub async fn no_answer(&self, problem: Problem) -> End {
        let last = self.last.lock().clone();
        let why = match last {
            Some(error) => format!("its agent cannot be asked: {error}"),
            None => match timeout(REPORT_TIMEOUT, report(&self.agent)).await {
                Ok(Some(StartReport { doing })) => doing,
                Ok(None) | Err(_) => "its agent did not answer, and does not say why".to_owned(),
            },
        };
        End::new(problem.reason, format!("{}: {why}", problem.message))
    }
}

/// Tells an agent why its session ends, so that its clients hear it. Best effort: the pod is deleted anyway.
pub async fn end(ip: IpAddr, token: PodToken, end: &End) {
    let agent = Agent::new(ip, token);
    match timeout(END_TIMEOUT, post(&agent, END_PATH, end)).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => {
            tracing::debug!(error = describe(&error), "the agent did not hear of its end");
        }
        Err(_) => tracing::debug!("the agent did not hear of its end in time"),
    }
}

/// Why an agent does not have its session's new routes.
#[derive(Debug)]
pub enum RouteError {
    /// It will not.
    Refused(Problem),
    /// It may yet.
    NoAnswer(String),
}

/// Gives a session's agent other routes.
pub async fn route(ip: IpAddr, token: PodToken, egress: &Egress) -> Result<(), RouteError> {
    let agent = Agent::new(ip, token);
    let refused = |reason, message| Err(RouteError::Refused(Problem { reason, message }));
    match timeout(ROUTE_TIMEOUT, post(&agent, EGRESS_PATH, egress)).await {
        Ok(Ok((status, body))) if status.is_success() => {
            // An agent of before answers with nothing.
            let EgressReply { guard_lists } = serde_json::from_slice(&body).unwrap_or_default();
            if egress.guard.has_lists() && !guard_lists {
                return refused(Reason::AgentIncompatible, NO_LISTS.to_owned());
            }
            Ok(())
        }
        Ok(Ok((StatusCode::BAD_REQUEST, body))) => {
            refused(Reason::FieldInvalid, String::from_utf8_lossy(&body).into_owned())
        }
        Ok(Ok((StatusCode::NOT_FOUND, _))) => {
            let message = "the agent in the class's image is too old for a spec.proxy that changes";
            refused(Reason::AgentIncompatible, message.to_owned())
        }
        Ok(Ok((status, _))) => Err(RouteError::NoAnswer(format!("status {status}"))),
        Ok(Err(error)) => Err(RouteError::NoAnswer(describe(&error))),
        Err(late) => Err(RouteError::NoAnswer(late.to_string())),
    }
}

/// `None`: it does not know, as an agent of the version before.
async fn report(agent: &Agent) -> Option<StartReport> {
    let uri = Agent::uri(START_PATH).ok()?;
    let request = forward::request(Method::GET, uri, HeaderMap::new(), body::empty());
    let response = agent.send(request).await.ok()?;
    if !response.status().is_success() {
        return None;
    }
    let body = collect(response.into_body(), MAX_REPORT).await.ok()?;
    serde_json::from_slice(&body).ok()
}

async fn post(
    agent: &Agent,
    path: &str,
    message: &impl Serialize,
) -> Result<(StatusCode, Bytes), CallError> {
    let body = body::full(serde_json::to_vec(message)?);
    let request = forward::request(Method::POST, Agent::uri(path)?, HeaderMap::new(), body);
    let response = agent.send(request).await?;
    let status = response.status();
    Ok((status, collect(response.into_body(), MAX_REPLY).await?))
}

fn read_reply(status: StatusCode, body: &[u8]) -> Result<BindReply, End> {
    let refused = |reason, message| End { reason, message };
    if status.is_success() {
        return serde_json::from_slice(body)
            .map_err(|error| refused(Reason::AgentIncompatible, error.to_string()));
    }
    Err(match serde_json::from_slice(body) {
        Ok(BindRefusal::NotCreated { message }) => refused(Reason::SessionNotCreated, message),
        Ok(BindRefusal::Incompatible { version, oldest }) => refused(
            Reason::AgentIncompatible,
            format!(
                "the agent in the class's image speaks versions {} to {version}, the controller {VERSION}",
                oldest.unwrap_or(version)
            ),
        ),
        Ok(BindRefusal::Held { holder }) => {
            refused(Reason::AgentLost, format!("the pod is held by the session with uid {holder}"))
        }
        Ok(BindRefusal::Ended(end)) => end,
        Ok(BindRefusal::Malformed { message }) => refused(Reason::AgentIncompatible, message),
        Err(_) => {
            refused(Reason::AgentIncompatible, format!("the agent answered with status {status}"))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_has_its_reason() {
        for refusal in [
            BindRefusal::NotCreated { message: "m".into() },
            BindRefusal::Incompatible { version: 9, oldest: None },
            BindRefusal::Held { holder: "u".into() },
            BindRefusal::Ended(End::new(Reason::DriverCrashed, "m")),
        ] {
            let expected = match refusal {
                BindRefusal::NotCreated { .. } => Reason::SessionNotCreated,
                BindRefusal::Held { .. } => Reason::AgentLost,
                BindRefusal::Ended(_) => Reason::DriverCrashed,
                _ => Reason::AgentIncompatible,
            };
            let body = serde_json::to_vec(&refusal).unwrap();
            let Err(End { reason, .. }) = read_reply(refusal.status(), &body) else {
                panic!("{refusal:?} was taken for an answer")
            };
            assert_eq!(reason, expected);
        }
        assert!(read_reply(StatusCode::NOT_FOUND, b"not found").is_err());
    }
}
