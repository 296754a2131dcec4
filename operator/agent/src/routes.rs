//! The agent's HTTP: its own paths for the operator, WebDriver's for clients.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use hyper::upgrade::OnUpgrade;
use runtime::http::{
    Body, BoxError,
    collect::{collect, drain},
    forward::{self, empty},
    incoming::{Incoming, incoming},
    serve::Connection,
    tunnel,
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use warp::{Filter, Reply, reply::Response};
use wire::{
    bind::{
        AUTHENTICATE_PATH, BIND_PATH, BindRefusal, CHALLENGE_HEADER, END_PATH, EndReason,
        EndRequest, HEALTH_PATH, PROOF_HEADER, PROVE_PATH,
    },
    error::{ErrorCode, WebDriverError},
    reply,
    route::{self, Route, Socket},
};

use crate::{bidi, bind, session::Session, shared::Shared};

/// The most bytes of a message from the operator: a session's capabilities may hold whole extensions.
const MAX_MESSAGE: usize = 64 << 20;
/// The most bytes of a driver's reply that the agent looks into.
const MAX_LOOKED_INTO: usize = 1 << 20;

/// Every route; a request that has none gets WebDriver's own error.
pub fn routes(
    shared: Arc<Shared>,
) -> impl Filter<Extract = (Response,), Error = warp::Rejection> + Clone {
    incoming().then(move |incoming| dispatch(shared.clone(), incoming))
}

async fn dispatch(shared: Arc<Shared>, incoming: Incoming) -> Response {
    match (incoming.method.as_str(), incoming.path.as_str()) {
        ("GET", HEALTH_PATH) => return StatusCode::OK.into_response(),
        ("GET", PROVE_PATH) => return prove(&shared, &incoming.headers),
        ("GET", AUTHENTICATE_PATH) => {
            return authenticate(&shared, &incoming.connection, &incoming.headers);
        }
        _ => {}
    }
    let trusted = incoming.connection.is_authenticated();
    match (incoming.method.as_str(), incoming.path.as_str()) {
        ("POST", BIND_PATH) if trusted => operate_bind(&shared, incoming.body).await,
        ("POST", END_PATH) if trusted => operate_end(&shared, incoming.body).await,
        _ => web_driver(&shared, incoming, trusted).await,
    }
}

fn prove(shared: &Shared, headers: &HeaderMap) -> Response {
    let challenge = headers.get(CHALLENGE_HEADER).and_then(|value| value.to_str().ok());
    let proof = challenge
        .and_then(|challenge| HeaderValue::from_str(&shared.token_hash.prove(challenge)).ok());
    let Some(proof) = proof else { return StatusCode::BAD_REQUEST.into_response() };
    let mut reply = StatusCode::NO_CONTENT.into_response();
    reply.headers_mut().insert(PROOF_HEADER, proof);
    reply
}

fn authenticate(shared: &Shared, connection: &Connection, headers: &HeaderMap) -> Response {
    let shown = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    if !shown.is_some_and(|token| shared.token_hash.accepts(token)) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    connection.authenticate();
    StatusCode::NO_CONTENT.into_response()
}

async fn operate_bind(shared: &Arc<Shared>, body: Body) -> Response {
    let outcome =
        match read(body).await {
            // In a task of its own: a caller that hangs up must not leave a bind half done.
            Ok(request) => {
                let held = shared.clone();
                let binding = async move { bind::bind(&held, request).await };
                shared.tasks.spawn(binding).await.unwrap_or_else(|error| {
                    Err(BindRefusal::NotCreated { message: error.to_string() })
                })
            }
            Err(message) => Err(BindRefusal::Malformed { message }),
        };
    match outcome {
        Ok(reply) => warp::reply::json(&reply).into_response(),
        Err(refusal) => {
            warp::reply::with_status(warp::reply::json(&refusal), refusal.status()).into_response()
        }
    }
}

async fn operate_end(shared: &Shared, body: Body) -> Response {
    match read::<EndRequest>(body).await {
        Ok(request) => {
            shared.ending.begin(&request.reason, request.message);
            StatusCode::ACCEPTED.into_response()
        }
        Err(message) => warp::reply::with_status(message, StatusCode::BAD_REQUEST).into_response(),
    }
}

async fn read<T: DeserializeOwned>(body: Body) -> Result<T, String> {
    let bytes = collect(body, MAX_MESSAGE).await.map_err(|error| error.to_string())?;
    serde_json::from_slice(&bytes).map_err(|error| error.to_string())
}

/// The id in a path is what a client proves itself with; through the gateway the connection is proven too.
async fn web_driver(shared: &Arc<Shared>, incoming: Incoming, trusted: bool) -> Response {
    let wants_socket = tunnel::wants_websocket(&incoming.headers);
    let path = incoming.path.as_str();
    let id = if wants_socket {
        match route::socket(path) {
            Socket::Session { id } => id,
            Socket::Bare | Socket::Unknown => return not_here(),
        }
    } else {
        match route::classic(&incoming.method, path) {
            Route::DeleteSession { id } | Route::Command { id, .. } => id,
            Route::UnknownMethod => {
                drain(incoming.body).await;
                return failure(ErrorCode::UnknownMethod, "the command has another method");
            }
            Route::Status | Route::NewSession | Route::UnknownCommand => {
                drain(incoming.body).await;
                return failure(ErrorCode::UnknownCommand, "no such command here");
            }
        }
    };
    let Some(session) = shared
        .session()
        .filter(|session| session.is(id) && (trusted || session.settings.exposed))
        .cloned()
    else {
        return if wants_socket {
            not_here()
        } else {
            drain(incoming.body).await;
            into_response(reply::failure(&WebDriverError::invalid_session_id()))
        };
    };
    if wants_socket {
        open_socket(shared, session, &incoming.headers, incoming.upgrade)
    } else if session.settings.bidi_only {
        // Made by session.new: not reachable over HTTP (BiDi, section "Session").
        into_response(reply::failure(&WebDriverError::invalid_session_id()))
    } else {
        run_command(shared, &session, incoming).await
    }
}

/// "act as if the requested service is not available" (BiDi, section "Transport").
fn not_here() -> Response {
    StatusCode::NOT_FOUND.into_response()
}

fn open_socket(
    shared: &Shared,
    session: Arc<Session>,
    headers: &HeaderMap,
    upgrade: Option<OnUpgrade>,
) -> Response {
    let (Some(hub), Some(upgrade)) = (session.hub.clone(), upgrade) else {
        return not_here();
    };
    let accept = match tunnel::handshake_key(headers) {
        Ok(key) => derive_accept_key(key.as_bytes()),
        Err(message) => {
            return warp::reply::with_status(message, StatusCode::BAD_REQUEST).into_response();
        }
    };
    let Ok(accept) = HeaderValue::from_str(&accept) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    shared.tasks.spawn(bidi::serve(upgrade, session, hub, shared.ending.clone()));
    tunnel::switching_protocols(accept)
}

async fn run_command(shared: &Shared, session: &Session, incoming: Incoming) -> Response {
    let rest = match route::classic(&incoming.method, incoming.path.as_str()) {
        Route::Command { rest, .. } => rest,
        // Delete Session: the driver and its browser end with the agent.
        _ => {
            shared.ending.begin(EndReason::ClientEnded.as_str(), "Delete Session");
            return into_response(reply::success(&Value::Null));
        }
    };
    let _running = session.life.command();
    let target = incoming.target(&session.driver_path(rest));
    let closes_window = incoming.method == Method::DELETE && rest == "/window";
    match send(session, &target, incoming).await {
        Ok(response) => look_at(shared, response, closes_window).await,
        Err(error) if shared.ending.has_begun() => {
            tracing::debug!(error = %error, "during the end");
            into_response(reply::failure(&WebDriverError::invalid_session_id()))
        }
        Err(error) => {
            failure(ErrorCode::UnknownError, &format!("the driver gave no answer: {error}"))
        }
    }
}

async fn send(
    session: &Session,
    target: &str,
    incoming: Incoming,
) -> Result<http::Response<hyper::body::Incoming>, BoxError> {
    let uri: Uri = session.driver.uri(target)?;
    let body = if forward::has_body(&incoming.headers) { incoming.body } else { empty() };
    let mut headers = incoming.headers;
    // The driver refuses what does not come from its own machine.
    headers.remove(header::ORIGIN);
    let request = forward::request(incoming.method, uri, headers, body);
    Ok(session.driver.send(request).await?)
}

/// Two replies mean the end of the session: its last window was closed, or the driver has lost the browser.
async fn look_at(
    shared: &Shared,
    response: http::Response<hyper::body::Incoming>,
    closes_window: bool,
) -> Response {
    if !(closes_window || response.status() == StatusCode::NOT_FOUND) {
        return forward::reply(response);
    }
    let (parts, body) = response.into_parts();
    let bytes = match collect(body, MAX_LOOKED_INTO).await {
        Ok(bytes) => bytes,
        Err(error) => {
            return failure(
                ErrorCode::UnknownError,
                &format!("the driver's answer broke off: {error}"),
            );
        }
    };
    let value = serde_json::from_slice::<Value>(&bytes)
        .ok()
        .and_then(|mut reply| reply.get_mut("value").map(Value::take))
        .unwrap_or_default();
    if value.get("error").and_then(Value::as_str) == Some(ErrorCode::InvalidSessionId.as_str()) {
        let message = value.get("message").and_then(Value::as_str).unwrap_or_default();
        let message = message.lines().next().unwrap_or_default();
        shared.ending.begin(EndReason::BrowserCrashed.as_str(), message);
    } else if closes_window && parts.status.is_success() && value == Value::Array(Vec::new()) {
        shared.ending.begin(EndReason::ClientEnded.as_str(), "the last window was closed");
    }
    rebuilt(parts, bytes)
}

fn rebuilt(parts: http::response::Parts, bytes: Bytes) -> Response {
    let mut reply = bytes.to_vec().into_response();
    *reply.status_mut() = parts.status;
    for (name, value) in &parts.headers {
        if name != header::TRANSFER_ENCODING && name != header::CONTENT_LENGTH {
            reply.headers_mut().insert(name, value.clone());
        }
    }
    reply
}

fn failure(code: ErrorCode, message: &str) -> Response {
    into_response(reply::failure(&WebDriverError::new(code, message)))
}

fn into_response(reply: http::Response<String>) -> Response {
    reply.into_response()
}
