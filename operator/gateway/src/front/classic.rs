//! WebDriver Classic.

use std::{sync::Arc, time::Duration};

use crds::names::Protocol;
use http::{HeaderValue, StatusCode, header};
use runtime::{
    agents,
    http::{
        collect::{collect, drain},
        incoming::Incoming,
    },
};
use serde_json::{Value, json};
use warp::{Reply, reply::Response};
use wire::{
    capabilities::{Dialect, process},
    error::{ErrorCode, WebDriverError},
    reply,
    route::{self, Route},
};

use super::Gateway;
use crate::{
    caller,
    directory::Entry,
    metrics::{Front, Outcome},
    own, proxy, urls,
};

/// How long the directory may take to say that a pod is gone.
const SAY_SO: Duration = Duration::from_secs(2);
/// The most bytes of New Session's body: it becomes an object of the cluster.
const MAX_BODY: usize = 1 << 20;

/// Runs one command.
pub async fn run(gateway: Arc<Gateway>, incoming: Incoming) -> Response {
    let path = incoming.path.clone();
    match route::classic(&incoming.method, &path) {
        Route::Status => {
            drain(incoming.body).await;
            status(&gateway)
        }
        Route::NewSession => new_session(&gateway, incoming).await,
        Route::DeleteSession { id } => delete_session(&gateway, id, incoming).await,
        Route::Command { id, .. } => command(&gateway, id, incoming).await,
        Route::UnknownCommand => {
            let error = WebDriverError::new(ErrorCode::UnknownCommand, "no command has this path");
            refuse(incoming, &error).await
        }
        Route::UnknownMethod => {
            let message = "the command at this path has another method";
            refuse(incoming, &WebDriverError::new(ErrorCode::UnknownMethod, message)).await
        }
    }
}

fn status(gateway: &Gateway) -> Response {
    let (ready, message) = state(gateway);
    reply::success(&json!({"ready": ready, "message": message})).into_response()
}

/// Whether this replica makes sessions, for both protocols' status commands.
pub fn state(gateway: &Gateway) -> (bool, &'static str) {
    if gateway.stop.is_cancelled() {
        (false, "this replica is shutting down")
    } else {
        (true, "sessions can be created")
    }
}

async fn new_session(gateway: &Gateway, incoming: Incoming) -> Response {
    let outcome = match collect(incoming.body, MAX_BODY).await {
        Ok(body) => create(gateway, &incoming.headers, &body).await,
        Err(error) => Err(Refusal::Command(WebDriverError::invalid_argument(error.to_string()))),
    };
    let counted = if outcome.is_ok() { Outcome::Created } else { Outcome::Refused };
    gateway.metrics.requested(Front::Classic, counted);
    match outcome {
        Ok(value) => reply::success(&value).into_response(),
        Err(Refusal::Command(error)) => failure(&error),
        Err(Refusal::Caller(error)) => refuse_caller(&error),
    }
}

enum Refusal {
    Command(WebDriverError),
    Caller(caller::Error),
}

impl From<WebDriverError> for Refusal {
    fn from(error: WebDriverError) -> Self {
        Self::Command(error)
    }
}

async fn create(
    gateway: &Gateway,
    headers: &http::HeaderMap,
    body: &[u8],
) -> Result<Value, Refusal> {
    let Ok(Value::Object(body)) = serde_json::from_slice(body) else {
        return Err(WebDriverError::invalid_argument("the body must be a JSON object").into());
    };
    let asked = body.get("capabilities").cloned().unwrap_or_default();
    process(&asked, Dialect::Classic)?;
    let wanted = own::wanted(&asked)?;
    let caller = gateway
        .callers
        .admit(headers, wanted.namespace.as_deref())
        .await
        .map_err(Refusal::Caller)?;
    let entry = gateway.sessions.create(&caller, wanted, Protocol::Classic).await?;
    let base =
        urls::socket_base(gateway.external_url.as_deref(), urls::remote_url(&asked), headers);
    Ok(json!({"sessionId": entry.session_id, "capabilities": capabilities(&entry, &base)}))
}

/// The session's capabilities, with the URL of its socket as this client can use it.
fn capabilities(entry: &Entry, socket_base: &str) -> Value {
    let mut capabilities = entry.capabilities.clone();
    capabilities.remove("webSocketUrl");
    if entry.bidi {
        let url = format!("{socket_base}/session/{}", entry.session_id);
        capabilities.insert("webSocketUrl".to_owned(), url.into());
    }
    capabilities.into()
}

/// A status that says what is missing, in WebDriver's envelope.
fn refuse_caller(error: &caller::Error) -> Response {
    let status = match error {
        caller::Error::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
        caller::Error::Forbidden(_) => StatusCode::FORBIDDEN,
        caller::Error::Unknown(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let mut response = failure(&WebDriverError::session_not_created(error.to_string()));
    *response.status_mut() = status;
    if status == StatusCode::UNAUTHORIZED {
        let scheme = HeaderValue::from_static("Bearer, Basic realm=\"browser-operator\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
    }
    response
}

async fn delete_session(gateway: &Gateway, id: &str, incoming: Incoming) -> Response {
    let Some(entry) = gateway.directory.find(id).await else {
        return refuse(incoming, &WebDriverError::invalid_session_id()).await;
    };
    let response = forward(&entry, incoming).await;
    if response.status().is_success() {
        gateway.directory.forget(id);
    }
    response
}

async fn command(gateway: &Gateway, id: &str, incoming: Incoming) -> Response {
    match gateway.directory.find(id).await {
        Some(entry) => forward(&entry, incoming).await,
        None => refuse(incoming, &WebDriverError::invalid_session_id()).await,
    }
}

/// An error, after the body that came with the request.
async fn refuse(incoming: Incoming, error: &WebDriverError) -> Response {
    drain(incoming.body).await;
    failure(error)
}

async fn forward(entry: &Entry, incoming: Incoming) -> Response {
    let target = incoming.target(route::without_hub(&incoming.path));
    let Incoming { method, headers, body, .. } = incoming;
    match proxy::command(entry, method, &target, headers, body).await {
        Ok(response) => response,
        Err(error) => no_answer(entry, &error).await,
    }
}

/// A pod that does not answer is most often gone, and the directory will say so. If it does not, the session is left
/// alone: one failure is no end.
async fn no_answer(entry: &Entry, error: &agents::Error) -> Response {
    tracing::debug!(uid = entry.uid, error = error as &dyn std::error::Error, "no answer");
    if tokio::time::timeout(SAY_SO, entry.over.cancelled()).await.is_ok() {
        failure(&WebDriverError::invalid_session_id())
    } else {
        let message = format!("the browser's pod gave no answer: {error}");
        failure(&WebDriverError::new(ErrorCode::UnknownError, message))
    }
}

fn failure(error: &WebDriverError) -> Response {
    reply::failure(error).into_response()
}
