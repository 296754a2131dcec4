//! The agent's HTTP: its own paths for the operator, WebDriver's for clients.

use std::sync::Arc;

use agent_api::{
    End,
    bind::{
        AUTHENTICATE_PATH, BIND_PATH, BindRefusal, CHALLENGE_HEADER, END_PATH, HEALTH_PATH,
        PROOF_HEADER, PROVE_PATH, SCREEN_PATH,
    },
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use net::{
    Body,
    body::collect,
    request::{Incoming, incoming},
    server::Connection,
};
use serde::de::DeserializeOwned;
use warp::{Filter, Reply, reply::Response};

use crate::{bind, dev_tools::screen, shared::Shared, web_driver};

/// The most bytes of a message from the operator: a session's capabilities may hold whole extensions.
const MAX_MESSAGE: usize = 64 << 20;

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
        ("GET", SCREEN_PATH) if trusted => match shared.session() {
            Some(session) => screen::run(session).await,
            None => StatusCode::NOT_FOUND.into_response(),
        },
        ("POST", END_PATH) if trusted => operate_end(&shared, incoming.body).await,
        _ => web_driver::run(&shared, incoming, trusted).await,
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
    match read::<End>(body).await {
        Ok(request) => {
            shared.ending.begin(request.reason, request.message);
            StatusCode::ACCEPTED.into_response()
        }
        Err(message) => warp::reply::with_status(message, StatusCode::BAD_REQUEST).into_response(),
    }
}

async fn read<T: DeserializeOwned>(body: Body) -> Result<T, String> {
    let bytes = collect(body, MAX_MESSAGE).await.map_err(|error| error.to_string())?;
    serde_json::from_slice(&bytes).map_err(|error| error.to_string())
}
