//! New Session (WebDriver, section "New Session").

use std::net::IpAddr;

use crds::names::Protocol;
use http::{HeaderMap, header};
use net::{
    body::{self, drain},
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
    refuse::{failure, refuse_body, refuse_caller, unavailable},
};
use crate::{
    auth::{self, Identity},
    front::{bounded_json, caller_name, request_body},
    metrics::{Front, Outcome},
    session::{CreateError, SessionRequest, WaitPolicy},
    state::Gateway,
    urls,
};

/// The most bytes of the body: it becomes an object of the cluster.
const MAX_BODY: usize = 512 << 10;
const UNSENT_USER: &str = "the client's URL names a user, but its request has no Authorization";

pub async fn new_session(gateway: &Gateway, incoming: IncomingRequest) -> Response {
    let outcome = create(gateway, incoming).await;
    let counted = if outcome.is_ok() { Outcome::Created } else { Outcome::Refused };
    gateway.metrics.requested(Front::Classic, counted);
    match outcome {
        Ok(value) => reply::success(&value).into_response(),
        Err(Refusal::Error(error)) => failure(&error),
        Err(Refusal::Caller(error)) => refuse_caller(&error),
        Err(Refusal::Unavailable(error)) => unavailable(&error),
        Err(Refusal::Body(error)) => refuse_body(&error),
    }
}

enum Refusal {
    Error(WebDriverError),
    Caller(auth::Error),
    /// Another replica, or another try, may do better.
    Unavailable(WebDriverError),
    /// Its body cannot be read.
    Body(body::Error),
}

impl From<WebDriverError> for Refusal {
    fn from(error: WebDriverError) -> Self {
        Self::Error(error)
    }
}

impl From<CreateError> for Refusal {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::ShuttingDown => Self::Unavailable(error.into()),
            _ => Self::Error(error.into()),
        }
    }
}

/// Whoever may not ask costs no memory: its body is read only once its headers have said who it is.
async fn create(gateway: &Gateway, incoming: IncomingRequest) -> Result<Value, Refusal> {
    let IncomingRequest { headers, body, connection, .. } = incoming;
    let identity = match admit(gateway, &headers, connection.peer.ip()).await {
        Ok(identity) => identity,
        Err(refusal) => {
            drain(body).await;
            return Err(refusal);
        }
    };
    let origin = gateway.origin(&headers, connection.peer.ip());
    let body = match request_body::read(gateway, &headers, origin, body, MAX_BODY).await {
        Ok(body) => body,
        Err(error @ request_body::Error::Busy) => {
            let error = WebDriverError::session_not_created(error.to_string());
            return Err(Refusal::Unavailable(error));
        }
        Err(request_body::Error::Body(error)) => return Err(Refusal::Body(error)),
    };
    // A client that waits for its session holds no more than what becomes of it.
    let Asked { request, remote_url } = read(&body)?;
    drop(body);
    if identity == Identity::Anonymous
        && !headers.contains_key(header::AUTHORIZATION)
        && remote_url.as_deref().is_some_and(urls::names_user)
    {
        return Err(Refusal::Caller(auth::Error::Unauthenticated(UNSENT_USER)));
    }
    let caller = gateway
        .authorizer
        .authorize_identity(identity, request.namespace.as_deref(), "create")
        .await
        .map_err(Refusal::Caller)?;
    let (session, guard) = gateway.sessions.create(&caller, request, WaitPolicy::QUEUE).await?;
    guard.disarm();
    let peer = connection.peer.ip();
    let base = urls::socket_base(&gateway.urls, remote_url.as_deref(), &headers, peer);
    let mut capabilities = capabilities(&session, &base);
    caller_name::add(gateway, &caller, &mut capabilities);
    Ok(json!({"sessionId": session.session_id, "capabilities": capabilities}))
}

/// What can be said of a request by its headers alone.
async fn admit(gateway: &Gateway, headers: &HeaderMap, peer: IpAddr) -> Result<Identity, Refusal> {
    gateway.check_accepting().map_err(Refusal::Unavailable)?;
    check_content_type(headers)?;
    gateway
        .authorizer
        .authenticate(gateway.credential(headers, peer))
        .await
        .map_err(Refusal::Caller)
}

/// What a body asks for.
struct Asked {
    request: SessionRequest,
    /// The URL that the client says that it used.
    remote_url: Option<String>,
}

fn read(body: &[u8]) -> Result<Asked, WebDriverError> {
    let must_be_object = || WebDriverError::invalid_argument("the body must be a JSON object");
    let mut body = match bounded_json::parse(body) {
        Ok(Value::Object(body)) => body,
        Ok(_) | Err(bounded_json::Error::Malformed(_)) => return Err(must_be_object()),
        Err(error) => return Err(WebDriverError::invalid_argument(error.to_string())),
    };
    let mut requested = body.remove("capabilities").unwrap_or_default();
    process(&requested, Dialect::Classic)?;
    let remote_url = urls::remote_url(&requested).map(ToOwned::to_owned);
    urls::forget_users(&mut requested);
    let mut request = SessionRequest::from_capabilities(&requested, Protocol::Classic)?;
    request.spec.new_session_parameters = parameters(body);
    Ok(Asked { request, remote_url })
}

/// The parameters beside the capabilities, which a driver gets as they are. Not the ones with capabilities of before the standard:
/// a driver believes them, and nobody has validated them.
fn parameters(mut body: Map<String, Value>) -> Option<Map<String, Value>> {
    body.retain(|name, _| !CAPABILITY_PARAMETERS.contains(&name.as_str()));
    (!body.is_empty()).then_some(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nests_too_deep_is_named_and_a_key_in_a_url_is_not_kept() {
        let deep = format!("{}{}", "[".repeat(33), "]".repeat(33));
        let body = format!(r#"{{"capabilities": {{}}, "extra": {deep}}}"#);
        let Err(error) = read(body.as_bytes()) else { panic!("{body}") };
        assert!(error.message.starts_with("extra.0.0.0"), "{}", error.message);
        let url = "http://any:bok_1_2@gw:4444/wd/hub";
        let body = json!({"capabilities": {"alwaysMatch": {"se:remoteUrl": url}}}).to_string();
        let Asked { request, remote_url } = read(body.as_bytes()).unwrap();
        assert_eq!(remote_url.as_deref(), Some(url));
        let object = json!(request.spec).to_string();
        assert!(object.contains("http://gw:4444/wd/hub") && !object.contains("bok_"), "{object}");
    }
}
