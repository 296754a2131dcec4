//! The faces of the gateway: each parses into one internal request and renders one internal answer.

pub mod bidi;
mod browser_use;
mod browserbase;
mod cdp;
mod classic;
mod hosted;
mod openapi;
pub mod share;

use std::sync::Arc;

use http::{HeaderValue, Method, StatusCode, header};
use net::{
    body::drain,
    handshake,
    request::{IncomingRequest, incoming_request},
};
use warp::{Filter, Reply, reply::Response};
use webdriver::{
    error::{ErrorCode, WebDriverError},
    reply,
};

use crate::{auth::origin, state::Gateway};

/// Every route.
pub fn routes(
    gateway: Arc<Gateway>,
) -> impl Filter<Extract = (Response,), Error = warp::Rejection> + Clone {
    incoming_request().then(move |incoming: IncomingRequest| {
        let gateway = gateway.clone();
        async move {
            // What a share shows may be reached from anywhere; it drives nothing.
            let refused = if share::is_path(&incoming.path) {
                None
            } else {
                origin::forbidden_origin(&incoming.headers, &gateway.allowed_origins)
            };
            if let Some(origin) = refused {
                drain(incoming.body).await;
                refuse_origin(&origin)
            } else if let Some(host) = rebound_host(&gateway, &incoming) {
                drain(incoming.body).await;
                refuse_host(&host)
            } else if handshake::wants_websocket(&incoming.method, &incoming.headers) {
                if cdp::is_path(&incoming.path) {
                    cdp::socket(gateway, incoming).await
                } else {
                    bidi::socket(gateway, incoming).await
                }
            } else {
                answer(gateway, incoming).await
            }
        }
    })
}

/// Each front has its own paths; what is nobody's is WebDriver's to refuse.
async fn answer(gateway: Arc<Gateway>, incoming: IncomingRequest) -> Response {
    let path = incoming.path.as_str();
    if path.starts_with("/v1/") {
        browserbase::run(gateway, incoming).await
    } else if is_rest(path) {
        browser_use::run(gateway, incoming).await
    } else if cdp::is_path(path) {
        cdp::run(gateway, incoming).await
    } else if share::is_path(path) {
        share::run(gateway, incoming).await
    } else if browserbase::selenium::is_path(path) {
        browserbase::selenium::run(gateway, incoming).await
    } else if path == "/openapi.json" && incoming.method == Method::GET {
        drain(incoming.body).await;
        let json = HeaderValue::from_static("application/json");
        warp::reply::with_header(openapi::document(), header::CONTENT_TYPE, json).into_response()
    } else {
        classic::run(gateway, incoming).await
    }
}

/// The prefixes of the hosted APIs.
const REST: [&str; 4] = ["/v1/", "/api/v2/", "/api/v3/", "/api/v4/"];

fn is_rest(path: &str) -> bool {
    REST.iter().any(|prefix| path.starts_with(prefix))
}

/// The Host of a read that a web page may have made, where it would show somebody's sessions: only where nobody needs to say
/// who they are, because such a page has no credentials. WebDriver takes any Host, and tells nobody an id.
fn rebound_host(gateway: &Gateway, incoming: &IncomingRequest) -> Option<String> {
    let shows_sessions = is_rest(&incoming.path) || cdp::is_path(&incoming.path);
    if gateway.authorizer.anonymous.is_none() || !shows_sessions {
        return None;
    }
    let peer = incoming.connection.peer.ip();
    origin::rebound_host(&incoming.method, &incoming.headers, peer, &gateway.urls)
        .map(ToOwned::to_owned)
}

fn refuse_host(host: &str) -> Response {
    let message = format!("Host {host:?} is not this gateway's: see its externalUrl");
    let error = WebDriverError::new(ErrorCode::UnknownError, message);
    let mut response = reply::failure(&error).into_response();
    *response.status_mut() = StatusCode::FORBIDDEN;
    response
}

fn refuse_origin(origin: &str) -> Response {
    let message =
        format!("Origin {origin:?} is not allowed here; see the gateway's allowedOrigins");
    let error = WebDriverError::new(ErrorCode::UnknownError, message);
    let mut response = reply::failure(&error).into_response();
    *response.status_mut() = StatusCode::FORBIDDEN;
    response
}
