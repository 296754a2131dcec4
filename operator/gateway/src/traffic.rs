//! Traffic of a session that exists: commands are streamed, sockets are tunnels.

use std::{sync::Arc, time::Duration};

use agent_api::end::close_code;
use crds::Reason;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use hyper::upgrade::OnUpgrade;
use net::{
    Body,
    agent::{self, Agent},
    body::{empty, has_body},
    forward, handshake,
    tunnel::{Endpoint, relay},
};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, frame::coding::CloseCode};
use tokio_util::sync::CancellationToken;
use warp::{Reply, reply::Response};

use crate::{
    metrics::Tunnel,
    session::{LiveSession, NotReady},
};

/// Sends a command on, and its reply back.
///
/// # Errors
/// The pod does not answer: the session is gone.
pub async fn command(
    entry: &LiveSession,
    method: Method,
    target: &str,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, agent::Error> {
    let body = if has_body(&headers) { body } else { empty() };
    let request = forward::request(method, uri(target)?, headers, body);
    entry.agent.send(request).await.map(forward::reply)
}

/// What the agent said to a handshake.
pub enum Handshake {
    /// It took it: its answer, and its end of the tunnel.
    Accepted(Response, OnUpgrade),
    /// It did not: its answer.
    Refused(Response),
}

/// Asks the agent for a socket, with the client's own key, so that its answer is the agent's. `rest` is the path behind the
/// session's id.
///
/// # Errors
/// The pod does not answer: the session is gone.
pub async fn handshake(
    entry: &LiveSession,
    rest: &str,
    key: &HeaderValue,
) -> Result<Handshake, agent::Error> {
    let uri = uri(&format!("/session/{}{rest}", entry.session_id))?;
    let mut request = forward::request(Method::GET, uri, HeaderMap::new(), empty());
    request.headers_mut().extend(handshake::request_headers(key.clone()));
    let response = entry.agent.send(request).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(Handshake::Refused(forward::reply(response)));
    }
    let accept = response.headers().get(header::SEC_WEBSOCKET_ACCEPT).cloned();
    let upgrade = hyper::upgrade::on(response);
    Ok(match accept {
        Some(accept) => Handshake::Accepted(handshake::accepted(accept), upgrade),
        None => Handshake::Refused(StatusCode::BAD_GATEWAY.into_response()),
    })
}

/// How long the last words of a session that is over may take through its tunnels.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// The Close frame's code for a peer that goes away (RFC 6455, section 7.4.1).
const GOING_AWAY: CloseCode = CloseCode::Away;

/// What ends a tunnel from this side.
#[derive(Clone, Debug)]
pub struct TunnelShutdown {
    /// Its session.
    pub entry: Arc<LiveSession>,
    /// This replica ends.
    pub closing: CancellationToken,
}

impl TunnelShutdown {
    /// When its session is over, and why.
    async fn verdict(&self) -> CloseFrame {
        self.entry.over.cancelled().await;
        match self.entry.why.get() {
            Some(NotReady { reason, .. }) => CloseFrame {
                code: Reason::parse(reason).map_or(GOING_AWAY, |reason| close_code(reason).into()),
                reason: reason.as_str().into(),
            },
            None => CloseFrame { code: GOING_AWAY, reason: "the session is over".into() },
        }
    }

    async fn farewell(&self) -> CloseFrame {
        tokio::select! {
            () = self.closing.cancelled() => {
                CloseFrame { code: GOING_AWAY, reason: CLOSING.into() }
            }
            last = async {
                let verdict = self.verdict().await;
                // The agent has the first word.
                tokio::time::sleep(LAST_WORDS).await;
                verdict
            } => last,
        }
    }
}

/// Why a replica that ends closes its sockets. The session is still there through another replica.
pub const CLOSING: &str = "this replica is shutting down; connect again";

/// Carries a socket's bytes until both ends are done, or it is cut.
pub async fn carry(client: OnUpgrade, agent: OnUpgrade, cuts: TunnelShutdown, _counted: Tunnel) {
    match Endpoint::upgraded(client).await {
        Ok(client) => carry_on(client, agent, cuts).await,
        Err(error) => {
            tracing::debug!(error = &error as &dyn std::error::Error, "no tunnel came of it");
        }
    }
}

/// The same for a client whose first messages have been read here.
pub async fn carry_on(client: Endpoint, agent: OnUpgrade, cuts: TunnelShutdown) {
    match Endpoint::upgraded(agent).await {
        // Pings come from the agent.
        Ok(agent) => {
            let (farewell, verdict) = (cuts.farewell(), cuts.verdict());
            relay(client, agent, None, || {}, farewell, verdict).await;
        }
        Err(error) => {
            tracing::debug!(error = &error as &dyn std::error::Error, "no tunnel came of it");
        }
    }
}

fn uri(target: &str) -> Result<http::Uri, agent::Error> {
    Agent::uri(target).map_err(|error| agent::Error::Broken(Box::new(error)))
}
