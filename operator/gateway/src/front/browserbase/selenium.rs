//! Browserbase's road for Selenium: New Session below `/webdriver` gives the session that exists, to whoever has its signing
//! key; everything else there is WebDriver Classic.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, Method, StatusCode};
use net::{
    body::drain,
    forward::{BROWSERBASE_KEY, SESSION_ID, SIGNING_KEY},
    request::IncomingRequest,
};
use serde_json::json;
use warp::{Reply, reply::Response};
use webdriver::{error::WebDriverError, reply, route};

use crate::{auth, front::classic, state::Gateway, urls};

/// What is before every path.
const PREFIX: &str = "/webdriver";

/// Whether a path is of this front.
pub fn is_path(path: &str) -> bool {
    path.strip_prefix(PREFIX).is_some_and(|rest| rest.starts_with('/'))
}

/// Answers a request.
pub async fn run(gateway: Arc<Gateway>, mut incoming: IncomingRequest) -> Response {
    incoming.path.drain(..PREFIX.len());
    let path = route::without_hub(&incoming.path).trim_end_matches('/');
    if incoming.method != Method::POST || path != "/session" {
        return classic::run(gateway, incoming).await;
    }
    let IncomingRequest { headers, body, connection, .. } = incoming;
    drain(body).await;
    let joined = async {
        let id = session(&gateway, &headers).await?;
        gateway.directory.find(&id).await.map_err(Refusal::Session)
    };
    match joined.await {
        Ok(entry) if entry.bidi_only => {
            reply::failure(&WebDriverError::invalid_session_id()).into_response()
        }
        Ok(entry) => {
            let base = urls::socket_base(&gateway.urls, None, &headers, connection.peer.ip());
            let capabilities = classic::capabilities(&entry, &base);
            let value = json!({"sessionId": entry.session_id, "capabilities": capabilities});
            reply::success(&value).into_response()
        }
        Err(Refusal::Key(message)) => {
            let error = WebDriverError::session_not_created(message);
            let mut response = reply::failure(&error).into_response();
            *response.status_mut() = StatusCode::UNAUTHORIZED;
            response
        }
        Err(Refusal::Caller(error)) => classic::refuse_caller(&error),
        Err(Refusal::Session(error)) => reply::failure(&error).into_response(),
    }
}

enum Refusal {
    /// No key, or none of ours.
    Key(String),
    /// An API key without the right.
    Caller(auth::Error),
    /// There is no such session.
    Session(WebDriverError),
}

/// The id of the session that a client may join: by its own key, or by an API key and its id.
async fn session(gateway: &Gateway, headers: &HeaderMap) -> Result<String, Refusal> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(link) = text(SIGNING_KEY) {
        return gateway.directory.open_link(link, (gateway.clock)().as_second()).ok_or_else(|| {
            Refusal::Key(format!("{SIGNING_KEY} is no session's, or its time is over"))
        });
    }
    let (Some(key), Some(id)) = (text(BROWSERBASE_KEY), text(SESSION_ID)) else {
        let message = format!(
            "here sessions are joined: send {SIGNING_KEY}, or {BROWSERBASE_KEY} and {SESSION_ID}"
        );
        return Err(Refusal::Key(message));
    };
    let caller = gateway
        .authorizer
        .authorize(Some(key.to_owned()), None, "get")
        .await
        .map_err(Refusal::Caller)?;
    let entry = gateway.directory.find(id).await.map_err(Refusal::Session)?;
    // Another's session is as none.
    if entry.namespace == caller.namespace {
        Ok(id.to_owned())
    } else {
        Err(Refusal::Session(WebDriverError::invalid_session_id()))
    }
}
