//! New Session (WebDriver, section "New Session").

use std::time::Duration;

use crds::names::Protocol;
use net::{
    body::{collect_within, drain},
    request::IncomingRequest,
};
use serde_json::{Map, Value, json};
use warp::{Reply, reply::Response};
use webdriver::{
    capabilities::{CAPABILITY_PARAMETERS, Dialect, process},
    error::WebDriverError,
    reply,
};

use super::{
    capabilities::capabilities,
    content_type::check_content_type,
    refuse::{failure, refuse_caller},
};
use crate::{
    auth,
    metrics::{Front, Outcome},
    session::{SessionRequest, WaitPolicy},
    state::Gateway,
    urls,
};

/// The most bytes of the body: it becomes an object of the cluster.
const MAX_BODY: usize = 1 << 20;
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

pub async fn new_session(gateway: &Gateway, incoming: IncomingRequest) -> Response {
    let outcome = create(gateway, incoming).await;
    let counted = if outcome.is_ok() { Outcome::Created } else { Outcome::Refused };
    gateway.metrics.requested(Front::Classic, counted);
    match outcome {
        Ok(value) => reply::success(&value).into_response(),
        Err(Refusal::Error(error)) => failure(&error),
        Err(Refusal::Caller(error)) => refuse_caller(&error),
    }
}

enum Refusal {
    Error(WebDriverError),
    Caller(auth::Error),
}

impl From<WebDriverError> for Refusal {
    fn from(error: WebDriverError) -> Self {
        Self::Error(error)
    }
}

async fn create(gateway: &Gateway, incoming: IncomingRequest) -> Result<Value, Refusal> {
    let IncomingRequest { headers, body, connection, .. } = incoming;
    let identity = match gateway.authorizer.authenticate(auth::credential(&headers)).await {
        Ok(identity) => identity,
        Err(error) => {
            drain(body).await;
            return Err(Refusal::Caller(error));
        }
    };
    let body = collect_within(body, MAX_BODY, BODY_TIMEOUT)
        .await
        .map_err(|error| WebDriverError::invalid_argument(error.to_string()))?;
    gateway.check_accepting()?;
    check_content_type(&headers)?;
    let Ok(Value::Object(body)) = serde_json::from_slice(&body) else {
        return Err(WebDriverError::invalid_argument("the body must be a JSON object").into());
    };
    let requested = body.get("capabilities").cloned().unwrap_or_default();
    process(&requested, Dialect::Classic)?;
    let mut request = SessionRequest::from_capabilities(&requested, Protocol::Classic)?;
    request.spec.new_session_parameters = parameters(body);
    let caller = gateway
        .authorizer
        .authorize_identity(identity, request.namespace.as_deref(), "create")
        .await
        .map_err(Refusal::Caller)?;
    let (session, guard) = gateway
        .sessions
        .create(&caller, request, WaitPolicy::QUEUE)
        .await
        .map_err(WebDriverError::from)?;
    guard.disarm();
    let peer = connection.peer.ip();
    let base = urls::socket_base(&gateway.urls, urls::remote_url(&requested), &headers, peer);
    Ok(json!({"sessionId": session.session_id, "capabilities": capabilities(&session, &base)}))
}

/// The parameters beside the capabilities, which a driver gets as they are. Not the ones with capabilities of before the standard:
/// a driver believes them, and nobody has validated them.
fn parameters(mut body: Map<String, Value>) -> Option<Map<String, Value>> {
    body.retain(|name, _| !CAPABILITY_PARAMETERS.contains(&name.as_str()));
    (!body.is_empty()).then_some(body)
}
