//! Which session a client's request is for, and whether it is a command, a socket, or a request to DevTools.

use std::sync::Arc;

use crds::Reason;
use http::Method;
use net::{body::drain, handshake, request::IncomingRequest};
use serde_json::Value;
use warp::reply::Response;
use webdriver::{
    error::{ErrorCode, WebDriverError},
    route::{self, DevTools, Route, Socket},
};

use super::{
    command, page_request,
    replies::{not_available, refuse, success, unknown_command},
};
use crate::{bidi, dev_tools, session::Session, state::AgentState};

/// Handles a request. A client proves itself by the id in its path; through the gateway the connection is `trusted` too.
pub async fn handle(state: &Arc<AgentState>, incoming: IncomingRequest, trusted: bool) -> Response {
    if !trusted && let Some(error) = page_request::error(&incoming.headers) {
        return refuse(incoming, error).await;
    }
    let session = |id: &str| {
        state
            .session()
            .filter(|session| session.has_id(id) && (trusted || session.settings.exposed))
            .cloned()
    };
    let wants_socket = handshake::wants_websocket(&incoming.method, &incoming.headers);
    let path = incoming.path.clone();
    if let Some((id, requested)) = dev_tools_request(&path)
        && requested.is_socket() == wants_socket
        && incoming.method == Method::GET
    {
        return match session(id) {
            Some(session) if trusted || is_reachable_over_http(&session) => {
                let (end_policy, tasks) = (&state.end_policy, &state.tasks);
                let handling =
                    dev_tools::handle(session, requested, incoming, !trusted, end_policy, tasks);
                // Large, and no command waits in it.
                Box::pin(handling).await
            }
            _ if wants_socket => not_available(),
            _ => refuse(incoming, WebDriverError::invalid_session_id()).await,
        };
    }
    if wants_socket {
        return match route::socket(&path) {
            Socket::Session { id } => match session(id) {
                // The one socket of a session that session.new made comes through the gateway (BiDi, section "Transport").
                Some(session) if trusted || !session.settings.bidi_only => {
                    let end = state.end_policy.latch().clone();
                    bidi::open(session, &incoming.headers, incoming.upgrade, end, &state.tasks)
                }
                _ => not_available(),
            },
            Socket::Bare | Socket::DevTools { .. } | Socket::Unknown => not_available(),
        };
    }
    match route::classic(&incoming.method, &path) {
        Route::DeleteSession { id } => match session(id).filter(is_reachable_over_http) {
            // The driver and its browser end with the agent.
            Some(_) => {
                drain(incoming.body).await;
                state.end_policy.latch().set(Reason::ClientEnded, "Delete Session");
                success(&Value::Null)
            }
            None => refuse(incoming, WebDriverError::invalid_session_id()).await,
        },
        Route::Command { id, rest } => match session(id).filter(is_reachable_over_http) {
            Some(session) => command::run(state, &session, rest, incoming).await,
            None => refuse(incoming, WebDriverError::invalid_session_id()).await,
        },
        Route::UnknownMethod => {
            let message = "the command at this path has another method";
            refuse(incoming, WebDriverError::new(ErrorCode::UnknownMethod, message)).await
        }
        Route::Status | Route::NewSession | Route::UnknownCommand => {
            refuse(incoming, unknown_command("no such command here")).await
        }
    }
}

/// The session's id, and what its DevTools are asked for.
fn dev_tools_request(path: &str) -> Option<(&str, DevTools<'_>)> {
    let (id, rest) = route::of_session(path)?;
    route::dev_tools(rest).map(|requested| (id, requested))
}

/// A session that `session.new` made is not reachable over HTTP (BiDi, section "Session").
fn is_reachable_over_http(session: &Arc<Session>) -> bool {
    !session.settings.bidi_only
}
