//! `/cdp/{id}/...`: a session's DevTools, for whoever has its signing key. `/json/version` without a session creates one, because that
//! is all that a client with only a base URL asks for.

use std::sync::Arc;

use http::{Method, StatusCode, header};
use net::{body::drain, handshake, request::IncomingRequest};
use serde_json::{Value, json};
use warp::{Reply, reply::Response};

use super::dev_tools::{self, Answer, insert_urls};
use crate::{
    front::{
        bidi,
        hosted::{
            links::SIGNING_KEY,
            on_demand::{OnDemand, create_on_demand},
            serve,
        },
    },
    state::Gateway,
    traffic, urls,
};

/// Whether a path belongs to this front.
pub fn is_path(path: &str) -> bool {
    path.starts_with("/cdp/") || path.starts_with("/json/") || path == "/json"
}

/// Whether a handshake belongs to this front: also one at the root, with a session's signing key. Some clients (chromedp) keep a URL's
/// query, and have a path of their own.
pub fn is_socket(incoming: &IncomingRequest) -> bool {
    let path = incoming.path.as_str();
    is_path(path) || (path == "/" || path.starts_with("/devtools/")) && sent_key(incoming).is_some()
}

/// Answers a request that is no handshake.
pub async fn run(gateway: Arc<Gateway>, incoming: IncomingRequest) -> Response {
    let path = incoming.path.trim_end_matches('/').to_owned();
    if incoming.method != Method::GET {
        return refuse(incoming, StatusCode::METHOD_NOT_ALLOWED, "this path can only be read")
            .await;
    }
    if let Some(rest) = path.strip_prefix("/cdp/") {
        let (id, rest) = split(rest);
        return match signing_key(&gateway, id, &incoming) {
            Ok(signing_key) => of_session(&gateway, id, rest, &signing_key, incoming).await,
            Err(error) => refuse(incoming, StatusCode::UNAUTHORIZED, error.to_string()).await,
        };
    }
    // Whoever has a session's key means that session, and never another.
    if let Some(key) = sent_key(&incoming) {
        return match verified(&gateway, &key) {
            Some(id) => of_session(&gateway, &id, &path, &key, incoming).await,
            None => {
                let message = SigningKeyError::Invalid.to_string();
                refuse(incoming, StatusCode::UNAUTHORIZED, message).await
            }
        };
    }
    match path.as_str() {
        "/json/version" if gateway.cdp_on_demand => on_demand(&gateway, incoming).await,
        "/json/version" => {
            let message = "sessions are not made by this path here: see the gateway's cdpOnDemand";
            refuse(incoming, StatusCode::NOT_FOUND, message).await
        }
        _ => {
            let message = "without a session there is only /json/version, which makes one; pages are listed below the session's own URL";
            refuse(incoming, StatusCode::NOT_FOUND, message).await
        }
    }
}

/// Answers a handshake for which [`is_socket`] holds.
pub async fn socket(gateway: Arc<Gateway>, incoming: IncomingRequest) -> Response {
    let path = incoming.path.trim_end_matches('/').to_owned();
    let found = match path.strip_prefix("/cdp/").map(split) {
        Some((id, rest)) => {
            signing_key(&gateway, id, &incoming).map(|_| (id.to_owned(), rest.to_owned()))
        }
        None => match sent_key(&incoming) {
            Some(key) => {
                verified(&gateway, &key).map(|id| (id, path)).ok_or(SigningKeyError::Invalid)
            }
            None => Err(SigningKeyError::Missing),
        },
    };
    let (id, rest) = match found {
        Ok(found) => found,
        Err(error) => {
            let status = StatusCode::UNAUTHORIZED;
            return warp::reply::with_status(error.to_string(), status).into_response();
        }
    };
    let key = match handshake::key(&incoming.headers) {
        Ok(key) => key.clone(),
        Err(error) => return handshake::refused(error),
    };
    let Some(upgrade) = incoming.upgrade else { return StatusCode::BAD_REQUEST.into_response() };
    bidi::of_session(&gateway, &id, &format!("/cdp{rest}"), &key, upgrade).await
}

fn split(path: &str) -> (&str, &str) {
    path.split_at(path.find('/').unwrap_or(path.len()))
}

/// The signing key of a request, if it is for this session.
fn signing_key(
    gateway: &Gateway,
    id: &str,
    incoming: &IncomingRequest,
) -> Result<String, SigningKeyError> {
    let key = sent_key(incoming).ok_or(SigningKeyError::Missing)?;
    match verified(gateway, &key) {
        Some(session) if session == id => Ok(key),
        _ => Err(SigningKeyError::Invalid),
    }
}

/// The id of the session that a signing key is for.
fn verified(gateway: &Gateway, key: &str) -> Option<String> {
    gateway.directory.verify_signing_key(key, (gateway.clock)().as_second())
}

/// The signing key that a request has. It may stand in the query, because clients keep a URL as it is.
fn sent_key(incoming: &IncomingRequest) -> Option<String> {
    let in_query = url::form_urlencoded::parse(incoming.query.as_bytes())
        .find(|(name, _)| name == "signingKey")
        .map(|(_, value)| value.into_owned());
    let in_header = || {
        let value = incoming.headers.get(SIGNING_KEY)?.to_str().ok()?;
        Some(value.to_owned())
    };
    in_query.or_else(in_header)
}

async fn of_session(
    gateway: &Gateway,
    id: &str,
    rest: &str,
    signing_key: &str,
    incoming: IncomingRequest,
) -> Response {
    let base = base(gateway, &incoming);
    let session = match gateway.directory.find(id).await {
        Ok(session) if session.bidi_only => {
            let message =
                "this session was made on a bare socket, and is reachable over that alone";
            return refuse(incoming, StatusCode::NOT_FOUND, message).await;
        }
        Ok(session) => session,
        Err(error) => return refuse(incoming, StatusCode::NOT_FOUND, error.message).await,
    };
    drain(incoming.body).await;
    match dev_tools::get(gateway, &session, rest).await {
        Ok(answer) => match serde_json::from_slice(&answer.body) {
            Ok(mut value) => {
                insert_urls(&mut value, &format!("{base}/cdp/{id}"), signing_key);
                let body = value.to_string().into();
                reply(gateway, Answer { body, ..answer }, "application/json")
            }
            // The agent's words, such as that Firefox has no DevTools.
            Err(_) => reply(gateway, answer, "text/plain; charset=utf-8"),
        },
        Err(error) => bad_gateway(&error),
    }
}

fn reply(gateway: &Gateway, answer: Answer, content_type: &'static str) -> Response {
    let Answer { status, body, turn } = answer;
    match turn {
        Some(turn) => traffic::held(status, content_type, body, turn, &gateway.tasks),
        None => {
            let reply = warp::reply::with_status(body.to_vec(), status);
            warp::reply::with_header(reply, header::CONTENT_TYPE, content_type).into_response()
        }
    }
}

/// Creates a session for a client that knows only this gateway's URL; it ends with its socket.
async fn on_demand(gateway: &Gateway, incoming: IncomingRequest) -> Response {
    let base = base(gateway, &incoming);
    let credential = gateway.credential(&incoming.headers, incoming.connection.peer.ip());
    drain(incoming.body).await;
    let created = create_on_demand(gateway, credential).await;
    let OnDemand { session, signing_key, guard } = match created {
        Ok(created) => created,
        Err(problem) => {
            return serve::refuse(&problem, |problem| {
                let body = json!({"error": problem.message()});
                (problem.status(StatusCode::BAD_REQUEST), body)
            });
        }
    };
    match dev_tools::get(gateway, &session, "/json/version").await {
        Ok(Answer { status, body, turn: _turn }) => {
            if status.is_success() {
                guard.disarm();
            }
            let mut value: Value = serde_json::from_slice(&body).unwrap_or_default();
            insert_urls(&mut value, &format!("{base}/cdp/{}", session.session_id), &signing_key);
            warp::reply::with_status(warp::reply::json(&value), status).into_response()
        }
        Err(error) => bad_gateway(&error),
    }
}

#[derive(Clone, Copy, Debug, thiserror::Error)]
enum SigningKeyError {
    #[error("the signingKey of the session's URL is missing")]
    Missing,
    #[error("the signingKey is not of this session, or its time is over")]
    Invalid,
}

fn bad_gateway(error: &dev_tools::Error) -> Response {
    warp::reply::with_status(error.to_string(), StatusCode::BAD_GATEWAY).into_response()
}

fn base(gateway: &Gateway, incoming: &IncomingRequest) -> String {
    let peer = incoming.connection.peer.ip();
    urls::socket_base(&gateway.urls, None, &incoming.headers, peer)
}

async fn refuse(
    incoming: IncomingRequest,
    status: StatusCode,
    message: impl Into<String>,
) -> Response {
    drain(incoming.body).await;
    warp::reply::with_status(message.into(), status).into_response()
}
