//! Traffic of a session that exists: commands are streamed, sockets are tunnels.

use std::{sync::Arc, time::Duration};

use agent_api::end::close_code;
use crds::Reason;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use hyper::upgrade::OnUpgrade;
use net::{
    Body,
    agent::{self, Agent},
    forward::{self, empty},
    tunnel::{self, End, Farewell},
};
use tokio_util::sync::CancellationToken;
use warp::{Reply, reply::Response};

use crate::{
    directory::{Entry, Over},
    metrics::Tunnel,
};

/// Sends a command on, and its reply back.
///
/// # Errors
/// The pod does not answer: the session is gone.
pub async fn command(
    entry: &Entry,
    method: Method,
    target: &str,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, agent::Error> {
    let body = if forward::has_body(&headers) { body } else { empty() };
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
    entry: &Entry,
    rest: &str,
    key: &HeaderValue,
) -> Result<Handshake, agent::Error> {
    let uri = uri(&format!("/session/{}{rest}", entry.session_id))?;
    let mut request = forward::request(Method::GET, uri, HeaderMap::new(), empty());
    request.headers_mut().extend(tunnel::handshake(key.clone()));
    let response = entry.agent.send(request).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(Handshake::Refused(forward::reply(response)));
    }
    let accept = response.headers().get(header::SEC_WEBSOCKET_ACCEPT).cloned();
    let upgrade = hyper::upgrade::on(response);
    Ok(match accept {
        Some(accept) => Handshake::Accepted(tunnel::switching_protocols(accept), upgrade),
        None => Handshake::Refused(StatusCode::BAD_GATEWAY.into_response()),
    })
}

/// How long the last words of a session that is over may take through its tunnels.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// The Close frame's code for a peer that goes away (RFC 6455, section 7.4.1).
const GOING_AWAY: u16 = 1001;

/// What ends a tunnel from this side.
#[derive(Clone, Debug)]
pub struct Cuts {
    /// Its session.
    pub entry: Arc<Entry>,
    /// This replica ends.
    pub closing: CancellationToken,
}

impl Cuts {
    /// When its session is over, and why.
    async fn verdict(&self) -> Farewell {
        self.entry.over.cancelled().await;
        match self.entry.why.get() {
            Some(Over { reason, .. }) => Farewell {
                code: Reason::parse(reason).map_or(GOING_AWAY, close_code),
                reason: reason.clone(),
            },
            None => Farewell { code: GOING_AWAY, reason: "the session is over".to_owned() },
        }
    }

    async fn farewell(&self) -> Farewell {
        tokio::select! {
            () = self.closing.cancelled() => {
                Farewell { code: GOING_AWAY, reason: CLOSING.to_owned() }
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
pub async fn carry(client: OnUpgrade, agent: OnUpgrade, cuts: Cuts, _counted: Tunnel) {
    match End::of(client).await {
        Ok(client) => carry_on(client, agent, cuts).await,
        Err(error) => tracing::debug!(error, "no tunnel came of it"),
    }
}

/// The same for a client whose first messages have been read here.
pub async fn carry_on(client: End, agent: OnUpgrade, cuts: Cuts) {
    match End::of(agent).await {
        // Pings come from the agent.
        Ok(agent) => {
            let (farewell, verdict) = (cuts.farewell(), cuts.verdict());
            tunnel::join(client, agent, None, || {}, farewell, verdict).await;
        }
        Err(error) => tracing::debug!(error, "no tunnel came of it"),
    }
}

fn uri(target: &str) -> Result<http::Uri, agent::Error> {
    Agent::uri(target).map_err(|error| agent::Error::Broken(Box::new(error)))
}
