//! Browserbase's Selenium connect: New Session below `/webdriver` answers with the existing session that the request has the
//! signing key of. Every other command there is WebDriver Classic.

use std::{net::IpAddr, sync::Arc};

use http::{HeaderMap, HeaderName, Method, StatusCode};
use net::{body::drain, request::IncomingRequest};
use serde_json::json;
use warp::{Reply, reply::Response};
use webdriver::{error::WebDriverError, reply, route};

use super::headers::{API_KEY, SESSION_ID};
use crate::{
    auth::{self, Credential},
    front::{classic, hosted::links::SIGNING_KEY},
    state::Gateway,
    urls,
};

const PREFIX: &str = "/webdriver";

/// Whether a path is of this front.
pub fn is_path(path: &str) -> bool {
    path.strip_prefix(PREFIX).is_some_and(|rest| rest.starts_with('/'))
}

/// Answers a request below `/webdriver`.
pub async fn run(gateway: Arc<Gateway>, mut incoming: IncomingRequest) -> Response {
    incoming.path.drain(..PREFIX.len());
    let path = route::without_hub(&incoming.path).trim_end_matches('/');
    if incoming.method != Method::POST || path != "/session" {
        return classic::run(gateway, incoming).await;
    }
    let IncomingRequest { headers, body, connection, .. } = incoming;
    drain(body).await;
    let found = async {
        let id = authorized_id(&gateway, &headers, connection.peer.ip()).await?;
        gateway.directory.find(&id).await.map_err(Refusal::Session)
    };
    match found.await {
        Ok(session) if session.bidi_only => {
            reply::failure(&WebDriverError::invalid_session_id()).into_response()
        }
        Ok(session) => {
            let base = urls::socket_base(&gateway.urls, None, &headers, connection.peer.ip());
            let capabilities = classic::capabilities(&session, &base);
            let value = json!({"sessionId": session.session_id, "capabilities": capabilities});
            reply::success(&value).into_response()
        }
        Err(Refusal::Unauthenticated(message)) => {
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
    Unauthenticated(String),
    /// The API key is refused.
    Caller(auth::Error),
    /// There is no such session.
    Session(WebDriverError),
}

/// The id of the session that the headers give access to: by its signing key, or by its id and an API key.
async fn authorized_id(
    gateway: &Gateway,
    headers: &HeaderMap,
    peer: IpAddr,
) -> Result<String, Refusal> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(key) = text(SIGNING_KEY) {
        return gateway
            .directory
            .verify_signing_key(key, (gateway.clock)().as_second())
            .ok_or_else(|| {
                Refusal::Unauthenticated(format!(
                    "{SIGNING_KEY} is no session's, or its time is over"
                ))
            });
    }
    let (Some(key), Some(id)) = (text(API_KEY), text(SESSION_ID)) else {
        let message =
            format!("here sessions are joined: send {SIGNING_KEY}, or {API_KEY} and {SESSION_ID}");
        return Err(Refusal::Unauthenticated(message));
    };
    let credential =
        Credential { secret: Some(key.to_owned()), ..gateway.credential(headers, peer) };
    let caller =
        gateway.authorizer.authorize(credential, None, "get").await.map_err(Refusal::Caller)?;
    let session = gateway.directory.find(id).await.map_err(Refusal::Session)?;
    // A session of another namespace must look like one that does not exist.
    if session.namespace == caller.namespace {
        Ok(id.to_owned())
    } else {
        Err(Refusal::Session(WebDriverError::invalid_session_id()))
    }
}
