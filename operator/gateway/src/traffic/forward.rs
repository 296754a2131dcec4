//! Requests and WebSocket handshakes to a session's agent.

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use hyper::upgrade::OnUpgrade;
use net::{
    Body,
    agent::{self, Agent},
    body::{empty, has_body},
    forward as net_forward, handshake,
};
use warp::{Reply, reply::Response};

use crate::session::LiveSession;

/// Sends a request to the agent, and streams its reply back.
///
/// # Errors
/// The agent does not answer.
pub async fn forward(
    session: &LiveSession,
    method: Method,
    target: &str,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, agent::Error> {
    let body = if has_body(&headers) { body } else { empty() };
    let request = net_forward::request(method, uri(target)?, headers, body);
    session.agent.send(request).await.map(net_forward::reply)
}

/// The agent's answer to a handshake.
pub enum Handshake {
    /// The answer for the client, and the agent's end of the tunnel.
    Accepted(Response, OnUpgrade),
    /// The answer for the client.
    Refused(Response),
}

/// Asks the agent for a WebSocket with the client's own key, so that the agent's answer can be the client's. `path` is what stands
/// behind the session's id.
///
/// # Errors
/// The agent does not answer.
pub async fn handshake(
    session: &LiveSession,
    path: &str,
    key: &HeaderValue,
) -> Result<Handshake, agent::Error> {
    let uri = uri(&format!("/session/{}{path}", session.session_id))?;
    let mut request = net_forward::request(Method::GET, uri, HeaderMap::new(), empty());
    request.headers_mut().extend(handshake::request_headers(key.clone()));
    let response = session.agent.send(request).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(Handshake::Refused(net_forward::reply(response)));
    }
    let accept = response.headers().get(header::SEC_WEBSOCKET_ACCEPT).cloned();
    let upgrade = hyper::upgrade::on(response);
    Ok(match accept {
        Some(accept) => Handshake::Accepted(handshake::accepted(accept), upgrade),
        None => Handshake::Refused(StatusCode::BAD_GATEWAY.into_response()),
    })
}

fn uri(target: &str) -> Result<http::Uri, agent::Error> {
    Agent::uri(target).map_err(|error| agent::Error::Broken(Box::new(error)))
}
