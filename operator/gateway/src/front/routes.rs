//! Which front answers which request.

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

use super::{bidi, browser_use, browserbase, cdp, classic, openapi, share};
use crate::{auth::origin, state::Gateway};

/// Every request, once its origin and its host may ask.
///
/// One filter takes all of them: composed ones would answer a path that WebDriver does not know with 405, where the standard wants
/// 404, and each would have to take the request's body, which exists once.
pub fn routes(
    gateway: Arc<Gateway>,
) -> impl Filter<Extract = (Response,), Error = warp::Rejection> + Clone {
    incoming_request().then(move |incoming: IncomingRequest| {
        let gateway = gateway.clone();
        async move {
            // A share drives nothing, and any page may link to it.
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

/// Each front has its own paths; WebDriver refuses the rest.
async fn answer(gateway: Arc<Gateway>, incoming: IncomingRequest) -> Response {
    let path = incoming.path.as_str();
    if browserbase::is_path(path) {
        browserbase::run(gateway, incoming).await
    } else if browser_use::is_path(path) {
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

/// The Host of a read that DNS rebinding may have brought here and that would show sessions. Only where clients need no credentials,
/// because such a page has none. WebDriver's own reads name no session.
fn rebound_host(gateway: &Gateway, incoming: &IncomingRequest) -> Option<String> {
    let path = incoming.path.as_str();
    let shows_sessions =
        browserbase::is_path(path) || browser_use::is_path(path) || cdp::is_path(path);
    if gateway.authorizer.anonymous_namespace.is_none() || !shows_sessions {
        return None;
    }
    let peer = incoming.connection.peer.ip();
    origin::rebound_host(&incoming.method, &incoming.headers, peer, &gateway.urls)
        .map(ToOwned::to_owned)
}

fn refuse_host(host: &str) -> Response {
    forbidden(format!("Host {host:?} is not this gateway's: see its externalUrl"))
}

fn refuse_origin(origin: &str) -> Response {
    forbidden(format!("Origin {origin:?} is not allowed here; see the gateway's allowedOrigins"))
}

fn forbidden(message: String) -> Response {
    let error = WebDriverError::new(ErrorCode::UnknownError, message);
    let mut response = reply::failure(&error).into_response();
    *response.status_mut() = StatusCode::FORBIDDEN;
    response
}
