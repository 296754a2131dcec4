//! The agent's own paths, for the controller, the gateway and the kubelet (`agent_api::bind`).

use std::sync::Arc;

use agent_api::{
    End,
    bind::{BindRefusal, Egress, EgressReply},
    end::EndRequest,
    paths::{
        AUTHENTICATE_PATH, BIND_PATH, CHALLENGE_HEADER, EGRESS_PATH, END_PATH, HEALTH_PATH,
        PROOF_HEADER, PROVE_PATH, SCREEN_PATH, START_PATH, TRAFFIC_PATH,
    },
    start::StartReport,
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use net::{
    Body,
    body::{self, collect},
    request::IncomingRequest,
    server::Connection,
};
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use warp::{Reply, reply::Response};

use crate::{bind, dev_tools, state::AgentState};

/// The most bytes of a message from the operator: a session's capabilities may hold whole extensions.
const MAX_MESSAGE: usize = 64 << 20;

/// Why a message from the operator cannot be read.
#[derive(Debug, thiserror::Error)]
enum MessageError {
    #[error(transparent)]
    Body(#[from] body::Error),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// What the operator asks for.
pub enum Operation {
    Health,
    Prove,
    Authenticate,
    Bind,
    /// How far its start is.
    Start,
    Screenshot,
    Traffic,
    Egress,
    End,
}

impl Operation {
    /// `None` where the request is a client's. Without `trusted`, only the paths that need no token are the operator's.
    pub fn of(incoming: &IncomingRequest, trusted: bool) -> Option<Self> {
        match (incoming.method.as_str(), incoming.path.as_str()) {
            ("GET", HEALTH_PATH) => Some(Self::Health),
            ("GET", PROVE_PATH) => Some(Self::Prove),
            ("GET", AUTHENTICATE_PATH) => Some(Self::Authenticate),
            ("POST", BIND_PATH) if trusted => Some(Self::Bind),
            ("GET", START_PATH) if trusted => Some(Self::Start),
            ("GET", SCREEN_PATH) if trusted => Some(Self::Screenshot),
            ("GET", TRAFFIC_PATH) if trusted => Some(Self::Traffic),
            ("POST", EGRESS_PATH) if trusted => Some(Self::Egress),
            ("POST", END_PATH) if trusted => Some(Self::End),
            _ => None,
        }
    }
}

pub async fn handle(
    state: &Arc<AgentState>,
    operation: Operation,
    incoming: IncomingRequest,
) -> Response {
    match operation {
        Operation::Health => StatusCode::OK.into_response(),
        Operation::Prove => prove(state, &incoming.headers),
        Operation::Authenticate => authenticate(state, &incoming.connection, &incoming.headers),
        Operation::Bind => bind(state, incoming.body).await,
        Operation::Start => {
            let doing = state.driver.progress().describe(Instant::now());
            let doing = state.end_policy.output().explain(&doing);
            warp::reply::json(&StartReport { doing }).into_response()
        }
        Operation::Screenshot => match state.session() {
            Some(session) => dev_tools::handle_screenshot(session).await,
            None => StatusCode::NOT_FOUND.into_response(),
        },
        Operation::Traffic => warp::reply::json(&state.egress.traffic()).into_response(),
        Operation::Egress => egress(state, incoming.body).await,
        Operation::End => end(state, incoming.body).await,
    }
}

fn prove(state: &AgentState, headers: &HeaderMap) -> Response {
    let challenge = headers.get(CHALLENGE_HEADER).and_then(|value| value.to_str().ok());
    let proof = challenge
        .and_then(|challenge| HeaderValue::from_str(&state.token_hash.prove(challenge)).ok());
    let Some(proof) = proof else { return StatusCode::BAD_REQUEST.into_response() };
    let mut reply = StatusCode::NO_CONTENT.into_response();
    reply.headers_mut().insert(PROOF_HEADER, proof);
    reply
}

fn authenticate(state: &AgentState, connection: &Connection, headers: &HeaderMap) -> Response {
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    if !token.is_some_and(|token| state.token_hash.accepts(token)) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    connection.authenticate();
    StatusCode::NO_CONTENT.into_response()
}

async fn bind(state: &Arc<AgentState>, body: Body) -> Response {
    let outcome =
        match read(body).await {
            // In a task of its own: a caller that hangs up must not leave a bind half done.
            Ok(request) => {
                let task_state = state.clone();
                let binding = async move { bind::bind(&task_state, request).await };
                state.tasks.spawn(binding).await.unwrap_or_else(|error| {
                    Err(BindRefusal::NotCreated { message: error.to_string() })
                })
            }
            Err(MessageError::Body(error)) if error.is_late() => return late(&error),
            Err(error) => Err(BindRefusal::Malformed { message: error.to_string() }),
        };
    match outcome {
        Ok(reply) => warp::reply::json(&reply).into_response(),
        Err(refusal) => {
            warp::reply::with_status(warp::reply::json(&refusal), refusal.status()).into_response()
        }
    }
}

async fn egress(state: &AgentState, body: Body) -> Response {
    let refusal = match read::<Egress>(body).await {
        Ok(egress) => match bind::set_egress(state, egress).await {
            Ok(()) => {
                return warp::reply::json(&EgressReply { guard_lists: true }).into_response();
            }
            Err(error) => error.to_string(),
        },
        Err(MessageError::Body(error)) if error.is_late() => return late(&error),
        Err(error) => error.to_string(),
    };
    warp::reply::with_status(refusal, StatusCode::BAD_REQUEST).into_response()
}

async fn end(state: &AgentState, body: Body) -> Response {
    match read::<EndRequest>(body).await {
        Ok(EndRequest(End { reason, message })) => {
            state.end_policy.latch().set(reason, message);
            StatusCode::ACCEPTED.into_response()
        }
        Err(MessageError::Body(error)) if error.is_late() => late(&error),
        Err(error) => {
            warp::reply::with_status(error.to_string(), StatusCode::BAD_REQUEST).into_response()
        }
    }
}

fn late(error: &body::Error) -> Response {
    warp::reply::with_status(error.to_string(), StatusCode::REQUEST_TIMEOUT).into_response()
}

async fn read<T: DeserializeOwned>(body: Body) -> Result<T, MessageError> {
    let bytes = collect(body, MAX_MESSAGE).await?;
    Ok(serde_json::from_slice(&bytes)?)
}
