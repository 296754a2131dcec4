//! WebSockets of sessions that exist.

use std::sync::Arc;

use http::{HeaderValue, StatusCode};
use hyper::upgrade::OnUpgrade;
use net::{handshake, request::IncomingRequest};
use warp::{Reply, reply::Response};
use webdriver::route::{self, Socket};

use super::bare;
use crate::{
    state::Gateway,
    traffic::{self, Handshake},
};

/// The path of the browser's DevTools behind a session's id.
const DEV_TOOLS: &str = "/se/cdp";

/// Answers a handshake.
pub async fn socket(gateway: Arc<Gateway>, incoming: IncomingRequest) -> Response {
    let path = incoming.path.clone();
    let key = match handshake::key(&incoming.headers) {
        Ok(key) => key.clone(),
        Err(error) => return handshake::refused(error),
    };
    let credential = gateway.credential(&incoming.headers, incoming.connection.peer.ip());
    let Some(upgrade) = incoming.upgrade else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    match route::socket(&path) {
        Socket::Session { id } => of_session(&gateway, id, "", &key, upgrade).await,
        Socket::DevTools { id } => of_session(&gateway, id, DEV_TOOLS, &key, upgrade).await,
        Socket::Bare => bare::accept(gateway, credential, &key, upgrade),
        Socket::Unknown => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Opens a tunnel to the agent's socket at `path` behind the session's id. A session that was made on a bare socket has no other.
pub async fn of_session(
    gateway: &Gateway,
    id: &str,
    path: &str,
    key: &HeaderValue,
    upgrade: OnUpgrade,
) -> Response {
    // "act as if the requested service is not available" (BiDi, section "Transport").
    let session = match gateway.directory.find(id).await {
        Ok(session) if !session.bidi_only => session,
        Ok(_) => return StatusCode::NOT_FOUND.into_response(),
        Err(error) => {
            let status = StatusCode::NOT_FOUND;
            return warp::reply::with_status(error.message, status).into_response();
        }
    };
    match traffic::handshake(&session, path, key).await {
        Ok(Handshake::Accepted(response, agent)) => {
            let (mut end, guard) = (gateway.tunnel_end(&session), gateway.metrics.tunnel());
            end.sends_close = handshake::reads_control_frames(key);
            gateway.tasks.spawn(traffic::tunnel(upgrade, agent, end, guard));
            response
        }
        Ok(Handshake::Refused(response)) => response,
        Err(error) => {
            let cause = &error as &dyn std::error::Error;
            tracing::debug!(uid = session.uid, error = cause, "no answer");
            StatusCode::NOT_FOUND.into_response()
        }
    }
}
