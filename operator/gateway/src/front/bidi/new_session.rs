//! BiDi's session.new on a bare socket.

use crds::{capabilities::CapabilitySet, names::Protocol};
use http::HeaderValue;
use hyper::upgrade::OnUpgrade;
use serde_json::{Map, Value, json};
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use webdriver::{
    capabilities::{Dialect, process},
    error::WebDriverError,
};

use crate::{
    auth::{self, Credential},
    front::caller_name,
    session::{LiveSession, SessionRequest, WaitPolicy},
    state::Gateway,
    traffic::{self, Handshake, TunnelEnd},
    urls,
};

pub struct Created {
    /// The result of session.new.
    pub result: Value,
    /// The agent's end of the tunnel.
    pub agent: OnUpgrade,
    pub end: TunnelEnd,
}

/// Creates a session and connects to its agent.
pub async fn create(
    gateway: &Gateway,
    credential: Credential,
    params: Map<String, Value>,
) -> Result<Created, WebDriverError> {
    gateway.check_accepting()?;
    let not_created = |error: auth::Error| WebDriverError::session_not_created(error.to_string());
    let identity = gateway.authorizer.authenticate(credential).await.map_err(not_created)?;
    let request = read(params)?;
    let caller = gateway
        .authorizer
        .authorize_identity(identity, request.namespace.as_deref(), "create")
        .await
        .map_err(not_created)?;
    let (session, guard) = gateway.sessions.create(&caller, request, WaitPolicy::QUEUE).await?;
    let agent = match connect(&session).await {
        Ok(agent) => agent,
        Err(error) => {
            let Some(end) = gateway.end_of_unreachable(&session).await else {
                guard.end_as_agent_lost();
                return Err(error);
            };
            // The session has ended by itself, and its own end says more.
            guard.disarm();
            return Err(WebDriverError::session_not_created(end.message));
        }
    };
    guard.disarm();
    let mut capabilities = capabilities(&session).into();
    caller_name::add(gateway, &caller, &mut capabilities);
    let result = json!({"sessionId": session.session_id, "capabilities": capabilities});
    Ok(Created { result, agent, end: gateway.tunnel_end(&session) })
}

/// What the parameters ask for. They are gone then: a client that waits for its session holds no more than what becomes of it.
fn read(mut params: Map<String, Value>) -> Result<SessionRequest, WebDriverError> {
    let mut requested = params.remove("capabilities").unwrap_or_default();
    process(&requested, Dialect::Bidi)?;
    urls::forget_users(&mut requested);
    let mut request = SessionRequest::from_capabilities(&requested, Protocol::Bidi)?;
    // A driver must be told to speak BiDi; on this socket the client need not say so.
    for alternative in request.spec.capabilities.first_match.iter_mut().flatten() {
        alternative.remove("webSocketUrl");
    }
    request
        .spec
        .capabilities
        .always_match
        .get_or_insert_default()
        .insert("webSocketUrl".to_owned(), true.into());
    Ok(request)
}

async fn connect(session: &LiveSession) -> Result<OnUpgrade, WebDriverError> {
    let key = HeaderValue::from_str(&generate_key())
        .map_err(|error| WebDriverError::session_not_created(error.to_string()))?;
    match traffic::handshake(session, "", &key).await {
        Ok(Handshake::Accepted(_, agent)) => Ok(agent),
        Ok(Handshake::Refused(response)) => Err(WebDriverError::session_not_created(format!(
            "the browser's pod refused its socket with status {}",
            response.status()
        ))),
        Err(error) => Err(WebDriverError::session_not_created(error.to_string())),
    }
}

/// The capabilities in the answer (BiDi, session.CapabilitiesResult): an unhandledPromptBehavior only as a map, a proxy only where
/// there is one, and no webSocketUrl, because the session has this socket and no other.
fn capabilities(session: &LiveSession) -> CapabilitySet {
    let mut capabilities = session.capabilities();
    capabilities.remove("webSocketUrl");
    let is_empty = |value: &Value| value.as_object().is_none_or(Map::is_empty);
    for name in ["proxy", "unhandledPromptBehavior"] {
        if capabilities.get(name).is_some_and(is_empty) {
            capabilities.remove(name);
        }
    }
    capabilities
}
