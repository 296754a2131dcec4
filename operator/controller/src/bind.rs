//! Asking a pod's agent to take a session.

use std::{net::IpAddr, time::Duration};

use agent_api::{
    End,
    bind::{BIND_PATH, BindRefusal, BindReply, BindRequest, END_PATH, Settings, VERSION},
    token::PodToken,
};
use crds::{BrowserSession, Reason, names};
use http::{Method, StatusCode};
use net::{agent::Agent, body::collect, forward};
use serde::Serialize;
use tokio::time::{sleep, timeout};
use webdriver::capabilities::CapabilitySet;

use crate::build::new_session;

/// The most bytes of an agent's answer.
const MAX_REPLY: usize = 16 << 20;
/// The pause before an agent that does not listen yet is asked again: at first short, because most are up soon.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// How long an agent may take to hear of its end.
const END_TIMEOUT: Duration = Duration::from_secs(2);

/// Why a pod was not bound.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It will not be, however often it is asked.
    #[error("{reason}: {message}")]
    Refused {
        /// In one word.
        reason: Reason,
        /// For a person.
        message: String,
    },
    /// No answer in time.
    #[error("the agent gave no answer in time: {0}")]
    NoAnswer(String),
}

/// The request for a session.
pub fn request(
    session: &BrowserSession,
    uid: &str,
    session_id: String,
    capabilities: CapabilitySet,
) -> BindRequest {
    let spec = &session.spec;
    let seconds = |n: i32| u32::try_from(n).unwrap_or(0);
    BindRequest {
        version: VERSION,
        session_uid: uid.to_owned(),
        session_id,
        session: new_session(session, capabilities),
        settings: Settings {
            timeout_seconds: seconds(spec.timeout_seconds),
            idle_timeout_seconds: seconds(spec.idle_timeout_seconds),
            connect_timeout_seconds: seconds(spec.connect_timeout_seconds),
            keep_alive: spec.keep_alive,
            bidi_only: session.protocol() == names::Protocol::Bidi,
            exposed: spec.expose.is_some(),
            start_url: spec.start_url.clone(),
            viewport: spec.viewport.map(|viewport| (viewport.width, viewport.height)),
        },
    }
}

/// Binds. An agent that does not listen yet is asked again; once it listens, it answers when its browser is up.
///
/// # Errors
/// It refuses, or does not answer within the limit.
pub async fn bind(
    ip: IpAddr,
    token: PodToken,
    request: &BindRequest,
    within: Duration,
) -> Result<BindReply, Error> {
    let agent = Agent::new(ip, token);
    let mut last = "it does not listen".to_owned();
    let asking = async {
        let mut pause = FIRST_PAUSE;
        loop {
            match post(&agent, BIND_PATH, request).await {
                Ok((status, body)) => return read(status, &body),
                Err(error) => last = error,
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    };
    match timeout(within, asking).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Error::NoAnswer(last)),
    }
}

/// Tells an agent that its session is over, so that its clients hear why. Best effort: the pod goes anyway.
pub async fn end(ip: IpAddr, token: PodToken, reason: Reason, message: &str) {
    let agent = Agent::new(ip, token);
    let request = End { reason, message: message.to_owned() };
    match timeout(END_TIMEOUT, post(&agent, END_PATH, &request)).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::debug!(error, "the agent did not hear of its end"),
        Err(_) => tracing::debug!("the agent did not hear of its end in time"),
    }
}

async fn post(
    agent: &Agent,
    path: &str,
    message: &impl Serialize,
) -> Result<(StatusCode, bytes::Bytes), String> {
    let text = |error: &dyn std::error::Error| match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    };
    let body = serde_json::to_vec(message).map_err(|error| text(&error))?;
    let uri = Agent::uri(path).map_err(|error| text(&error))?;
    let request = forward::request(Method::POST, uri, http::HeaderMap::new(), forward::full(body));
    let response = agent.send(request).await.map_err(|error| text(&error))?;
    let status = response.status();
    let body = collect(response.into_body(), MAX_REPLY).await.map_err(|error| text(&error))?;
    Ok((status, body))
}

fn read(status: StatusCode, body: &[u8]) -> Result<BindReply, Error> {
    let refused = |reason, message| Error::Refused { reason, message };
    if status.is_success() {
        return serde_json::from_slice(body)
            .map_err(|error| refused(Reason::AgentIncompatible, error.to_string()));
    }
    match serde_json::from_slice(body) {
        Ok(BindRefusal::NotCreated { message }) => Err(refused(Reason::SessionNotCreated, message)),
        Ok(BindRefusal::Incompatible { version }) => Err(refused(
            Reason::AgentIncompatible,
            format!(
                "the agent in the class's image speaks version {version}, the controller {VERSION}"
            ),
        )),
        Ok(BindRefusal::Held { holder }) => Err(refused(
            Reason::AgentLost,
            format!("the pod is held by the session with uid {holder}"),
        )),
        Ok(BindRefusal::Ended(End { reason, message })) => Err(refused(reason, message)),
        Ok(BindRefusal::Malformed { message }) => Err(refused(Reason::AgentIncompatible, message)),
        Err(_) => Err(refused(
            Reason::AgentIncompatible,
            format!("the agent answered with status {status}"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_has_its_reason() {
        for refusal in [
            BindRefusal::NotCreated { message: "m".into() },
            BindRefusal::Incompatible { version: 9 },
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
            let Err(Error::Refused { reason, .. }) = read(refusal.status(), &body) else {
                panic!("{refusal:?} was taken for an answer")
            };
            assert_eq!(reason, expected);
        }
        assert!(read(StatusCode::NOT_FOUND, b"not found").is_err());
    }
}
