//! Browserbase's road for Selenium: New Session below `/webdriver` gives the session that exists, to whoever has its signing
//! key; everything else there is WebDriver Classic.

use std::sync::Arc;

use http::{HeaderMap, Method};
use runtime::http::{collect::drain, incoming::Incoming};
use serde_json::json;
use warp::{Reply, reply::Response};
use wire::{error::WebDriverError, reply};

use super::{Gateway, classic};
use crate::urls;

/// What is before every path.
const PREFIX: &str = "/webdriver";
const SIGNING_KEY: &str = "x-bb-signing-key";
const API_KEY: &str = "x-bb-api-key";
const SESSION_ID: &str = "session-id";

/// Whether a path is of this front.
pub fn is_path(path: &str) -> bool {
    path.strip_prefix(PREFIX).is_some_and(|rest| rest.starts_with('/'))
}

/// Answers a request.
pub async fn run(gateway: Arc<Gateway>, mut incoming: Incoming) -> Response {
    incoming.path.drain(..PREFIX.len());
    if incoming.method != Method::POST || incoming.path.trim_end_matches('/') != "/session" {
        return classic::run(gateway, incoming).await;
    }
    let Incoming { headers, body, connection, .. } = incoming;
    drain(body).await;
    let joined = async {
        let id = session(&gateway, &headers).await?;
        gateway.directory.find(&id).await
    };
    match joined.await {
        Ok(entry) => {
            let base = urls::socket_base(&gateway.urls, None, &headers, connection.peer.ip());
            let capabilities = classic::capabilities(&entry, &base);
            let value = json!({"sessionId": entry.session_id, "capabilities": capabilities});
            reply::success(&value).into_response()
        }
        Err(error) => reply::failure(&error).into_response(),
    }
}

/// The id of the session that a client may join: by its own key, or by an API key and its id.
async fn session(gateway: &Gateway, headers: &HeaderMap) -> Result<String, WebDriverError> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(link) = text(SIGNING_KEY) {
        return gateway.directory.open_link(link, (gateway.clock)().as_second()).ok_or_else(|| {
            let message = format!("{SIGNING_KEY} is no session's, or its time is over");
            WebDriverError::session_not_created(message)
        });
    }
    let (Some(key), Some(id)) = (text(API_KEY), text(SESSION_ID)) else {
        return Err(WebDriverError::session_not_created(format!(
            "here sessions are joined: send {SIGNING_KEY}, or {API_KEY} and {SESSION_ID}"
        )));
    };
    let caller = gateway
        .callers
        .admit(Some(key.to_owned()), None, "get")
        .await
        .map_err(|error| WebDriverError::session_not_created(error.to_string()))?;
    let entry = gateway.directory.find(id).await?;
    // Another's session is as none.
    if entry.namespace == caller.namespace {
        Ok(id.to_owned())
    } else {
        Err(WebDriverError::invalid_session_id())
    }
}
