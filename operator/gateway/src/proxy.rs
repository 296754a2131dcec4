//! Traffic of a session that exists: commands are streamed, sockets are tunnels.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use runtime::{
    agents::{self, Agent},
    http::{
        Body,
        forward::{self, empty},
        tunnel,
    },
};
use tokio::io::AsyncWriteExt;
use tokio_util::sync::CancellationToken;
use warp::{Reply, reply::Response};

use crate::{directory::Entry, metrics::Tunnel};

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
) -> Result<Response, agents::Error> {
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

/// Asks the agent for a socket, with the client's own key, so that its answer is the agent's.
///
/// # Errors
/// The pod does not answer: the session is gone.
pub async fn handshake(entry: &Entry, key: &HeaderValue) -> Result<Handshake, agents::Error> {
    let uri = uri(&format!("/session/{}", entry.session_id))?;
    let mut request = forward::request(Method::GET, uri, HeaderMap::new(), empty());
    request.headers_mut().extend([
        (header::CONNECTION, HeaderValue::from_static("upgrade")),
        (header::UPGRADE, HeaderValue::from_static("websocket")),
        (header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13")),
        (header::SEC_WEBSOCKET_KEY, key.clone()),
    ]);
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

/// Carries a socket's bytes until both ends are done, or its session is `over`.
pub async fn carry(client: OnUpgrade, agent: OnUpgrade, over: CancellationToken, _counted: Tunnel) {
    match client.await {
        Ok(client) => carry_on(TokioIo::new(client), &[], agent, over).await,
        Err(error) => {
            tracing::debug!(error = &error as &dyn std::error::Error, "no tunnel came of it");
        }
    }
}

/// The same for a client whose first messages have been read here; `read` is what it sent behind them.
pub async fn carry_on(
    client: TokioIo<Upgraded>,
    read: &[u8],
    agent: OnUpgrade,
    over: CancellationToken,
) {
    let mut agent = match agent.await {
        Ok(agent) => TokioIo::new(agent),
        Err(error) => {
            tracing::debug!(error = &error as &dyn std::error::Error, "no tunnel came of it");
            return;
        }
    };
    if let Err(error) = agent.write_all(read).await {
        tracing::debug!(error = &error as &dyn std::error::Error, "tunnel broke");
        return;
    }
    let cut = async {
        over.cancelled().await;
        tokio::time::sleep(LAST_WORDS).await;
    };
    tokio::select! {
        () = tunnel::join(client, agent) => {}
        () = cut => tracing::debug!("tunnel cut: its session is over"),
    }
}

fn uri(target: &str) -> Result<http::Uri, agents::Error> {
    Agent::uri(target).map_err(|error| agents::Error::Broken(Box::new(error)))
}
