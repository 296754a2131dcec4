//! WebDriver Classic.

use std::{sync::Arc, time::Duration};

use crds::names::Protocol;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use net::{
    agent,
    body::{collect_within, drain},
    request::IncomingRequest,
};
use serde_json::{Map, Value, json};
use warp::{Reply, reply::Response};
use webdriver::{
    capabilities::{CAPABILITY_PARAMETERS, Dialect, process},
    error::{ErrorCode, WebDriverError},
    reply,
    route::{self, Route},
};

use crate::state::Gateway;
use crate::{
    auth,
    metrics::{Front, Outcome},
    session::{LiveSession, SessionRequest, WaitPolicy},
    traffic, urls,
};

/// The most bytes of New Session's body: it becomes an object of the cluster.
const MAX_BODY: usize = 1 << 20;
/// How long it may take to come.
const BODY_TIME: Duration = Duration::from_secs(30);

/// Runs one command.
pub async fn run(gateway: Arc<Gateway>, incoming: IncomingRequest) -> Response {
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
    let (ready, message) = gateway.status();
    reply::success(&json!({"ready": ready, "message": message})).into_response()
}

async fn new_session(gateway: &Gateway, incoming: IncomingRequest) -> Response {
    let outcome = create(gateway, incoming).await;
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
    Caller(auth::Error),
}

impl From<WebDriverError> for Refusal {
    fn from(error: WebDriverError) -> Self {
        Self::Command(error)
    }
}

async fn create(gateway: &Gateway, incoming: IncomingRequest) -> Result<Value, Refusal> {
    let IncomingRequest { headers, body, connection, .. } = incoming;
    let body = collect_within(body, MAX_BODY, BODY_TIME)
        .await
        .map_err(|error| WebDriverError::invalid_argument(error.to_string()))?;
    gateway.accepts()?;
    check_content_type(&headers)?;
    let Ok(Value::Object(body)) = serde_json::from_slice(&body) else {
        return Err(WebDriverError::invalid_argument("the body must be a JSON object").into());
    };
    let asked = body.get("capabilities").cloned().unwrap_or_default();
    process(&asked, Dialect::Classic)?;
    let mut wanted = SessionRequest::from_capabilities(&asked, Protocol::Classic)?;
    wanted.spec.new_session_parameters = parameters(body);
    let caller = gateway
        .authorizer
        .authorize(auth::credential(&headers), wanted.namespace.as_deref(), "create")
        .await
        .map_err(Refusal::Caller)?;
    let (entry, abandon) = gateway
        .sessions
        .create(&caller, wanted, WaitPolicy::QUEUE)
        .await
        .map_err(WebDriverError::from)?;
    abandon.disarm();
    let peer = connection.peer.ip();
    let base = urls::socket_base(&gateway.urls, urls::remote_url(&asked), &headers, peer);
    Ok(json!({"sessionId": entry.session_id, "capabilities": capabilities(&entry, &base)}))
}

/// What is forwarded of New Session's body beside the capabilities. Those of before the standard are not: a driver believes
/// them, and nobody has looked at them.
fn parameters(mut body: Map<String, Value>) -> Option<Map<String, Value>> {
    body.retain(|name, _| !CAPABILITY_PARAMETERS.contains(&name.as_str()));
    (!body.is_empty()).then_some(body)
}

/// The session's capabilities, with the URLs of its sockets as this client can use them: BiDi's, and the browser's DevTools,
/// which Selenium's clients look for under names of their own.
pub(super) fn capabilities(entry: &LiveSession, socket_base: &str) -> Value {
    let mut capabilities = entry.capabilities.clone();
    capabilities.remove("webSocketUrl");
    let url = format!("{socket_base}/session/{}", entry.session_id);
    if capabilities.get("browserName").is_some_and(|name| name == "chrome") {
        let version = capabilities.get("browserVersion").cloned().unwrap_or_default();
        capabilities.insert("se:cdp".to_owned(), format!("{url}/se/cdp").into());
        capabilities.insert("se:cdpVersion".to_owned(), version);
    }
    if entry.bidi {
        capabilities.insert("webSocketUrl".to_owned(), url.into());
    }
    capabilities.into()
}

/// What a web page can send without asking first is refused, as geckodriver does; clients send JSON, or do not say.
fn check_content_type(headers: &HeaderMap) -> Result<(), WebDriverError> {
    let said = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let said = String::from_utf8_lossy(said);
    let essence = said.split(';').next().unwrap_or_default().trim();
    let is_form = ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"]
        .iter()
        .any(|form| essence.eq_ignore_ascii_case(form));
    if is_form {
        return Err(WebDriverError::invalid_argument(format!(
            "Content-Type is {essence}; it must be application/json, or absent"
        )));
    }
    Ok(())
}

/// A status that says what is missing, in WebDriver's envelope.
pub(super) fn refuse_caller(error: &auth::Error) -> Response {
    let status = match error {
        auth::Error::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
        auth::Error::Forbidden(_) => StatusCode::FORBIDDEN,
        auth::Error::Unknown(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let mut response = failure(&WebDriverError::session_not_created(error.to_string()));
    *response.status_mut() = status;
    if status == StatusCode::UNAUTHORIZED {
        let scheme = HeaderValue::from_static("Bearer, Basic realm=\"browser-operator\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
    }
    response
}

async fn delete_session(gateway: &Gateway, id: &str, incoming: IncomingRequest) -> Response {
    let entry = match gateway.directory.find(id).await {
        Ok(entry) => entry,
        Err(error) => return refuse(incoming, &error).await,
    };
    let response = forward(gateway, &entry, incoming).await;
    if response.status().is_success() {
        gateway.directory.forget(id);
    }
    response
}

async fn command(gateway: &Gateway, id: &str, incoming: IncomingRequest) -> Response {
    match gateway.directory.find(id).await {
        Ok(entry) => match check_content_type(&incoming.headers) {
            Ok(()) => forward(gateway, &entry, incoming).await,
            Err(error) => refuse(incoming, &error).await,
        },
        Err(error) => refuse(incoming, &error).await,
    }
}

/// An error, after the body that came with the request.
async fn refuse(incoming: IncomingRequest, error: &WebDriverError) -> Response {
    drain(incoming.body).await;
    failure(error)
}

async fn forward(gateway: &Gateway, entry: &LiveSession, incoming: IncomingRequest) -> Response {
    let target = incoming.target(route::without_hub(&incoming.path));
    let IncomingRequest { method, headers, body, .. } = incoming;
    match traffic::command(entry, method, &target, headers, body).await {
        Ok(response) => response,
        Err(error) => no_answer(gateway, entry, &error).await,
    }
}

/// A session that is not over is left alone: one failure is no end.
async fn no_answer(gateway: &Gateway, entry: &LiveSession, error: &agent::Error) -> Response {
    if let Some(over) = gateway.why_over(entry).await {
        return failure(&over);
    }
    let cause = error as &dyn std::error::Error;
    tracing::warn!(uid = entry.uid, error = cause, "the browser's pod gave no answer");
    let message = format!("the browser's pod gave no answer: {error}");
    failure(&WebDriverError::new(ErrorCode::UnknownError, message))
}

fn failure(error: &WebDriverError) -> Response {
    reply::failure(error).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_form_can_send_is_no_command() {
        for (content_type, allowed) in [
            ("application/json", true),
            ("application/json;charset=UTF-8", true),
            ("application/vnd.api+json", true),
            ("text/plain", false),
            ("Text/Plain; charset=utf-8", false),
            ("application/x-www-form-urlencoded", false),
            ("multipart/form-data; boundary=x", false),
        ] {
            let value = HeaderValue::from_static(content_type);
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, value)]);
            assert_eq!(check_content_type(&headers).is_ok(), allowed, "{content_type}");
        }
        assert!(check_content_type(&HeaderMap::new()).is_ok());
    }
}
