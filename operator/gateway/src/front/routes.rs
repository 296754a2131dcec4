//! Which front answers which request.

use std::{borrow::Cow, sync::Arc};

use http::{HeaderValue, Method, StatusCode, header};
use net::{
    body::drain,
    handshake,
    request::{IncomingRequest, incoming_request},
};
use warp::{Filter, Reply, reply::Response};
use webdriver::{
    error::{ErrorCode, WebDriverError},
    reply, route,
};

use super::{bidi, browser_use, browserbase, cdp, classic, cors, openapi, root, share};
use crate::{auth::origin, shown::shown, state::Gateway, urls::without_empty_base};

/// Every request, once its origin and its host may ask.
///
/// One filter takes all of them: composed ones would answer a path that WebDriver does not know with 405, where the standard wants
/// 404, and each would have to take the request's body, which exists once.
pub fn routes(
    gateway: Arc<Gateway>,
) -> impl Filter<Extract = (Response,), Error = warp::Rejection> + Clone {
    incoming_request().then(move |mut incoming: IncomingRequest| {
        let gateway = gateway.clone();
        async move {
            // A share drives nothing, and any page may link to it.
            if share::is_path(&incoming.path) {
                return with_retry_after(Box::pin(share::run(gateway, incoming)).await);
            }
            if let Cow::Owned(path) = without_empty_base(&incoming.path) {
                incoming.path = path;
            }
            if gateway.allowed_origins.is_empty() {
                return with_retry_after(checked(gateway, incoming).await);
            }
            let page = origin::allowed_origin(&incoming.headers, &gateway.allowed_origins);
            let mut response = with_retry_after(checked(gateway, incoming).await);
            if response.status() != StatusCode::SWITCHING_PROTOCOLS {
                cors::allow(page, &mut response);
            }
            response
        }
    })
}

/// Whoever is refused for now is told when to ask again, on every face.
fn with_retry_after(mut response: Response) -> Response {
    let is_for_now = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE]
        .contains(&response.status());
    if is_for_now {
        let again = HeaderValue::from_static("1");
        response.headers_mut().entry(header::RETRY_AFTER).or_insert(again);
    }
    response
}

/// Refuses what a web page may not ask, and answers the rest.
async fn checked(gateway: Arc<Gateway>, incoming: IncomingRequest) -> Response {
    let IncomingRequest { method, headers, .. } = &incoming;
    let allowed = &gateway.allowed_origins;
    if let Some(origin) = origin::forbidden_origin(headers, allowed) {
        drain(incoming.body).await;
        return refuse_origin(&origin);
    }
    if let Some(host) = rebound_host(&gateway, &incoming) {
        drain(incoming.body).await;
        return refuse_host(&host);
    }
    let is_page = origin::allowed_origin(headers, allowed).is_some();
    if is_page && let Some(response) = cors::preflight(method, headers) {
        drain(incoming.body).await;
        return response;
    }
    if !handshake::wants_websocket(method, headers) {
        return answer(gateway, incoming).await;
    }
    if cdp::is_socket(&incoming) {
        Box::pin(cdp::socket(gateway, incoming)).await
    } else {
        Box::pin(bidi::socket(gateway, incoming)).await
    }
}

/// Each front has its own paths; WebDriver refuses the rest. What is no command of WebDriver's is boxed: a future is as large as its
/// largest branch, and every command would allocate and move it.
async fn answer(gateway: Arc<Gateway>, mut incoming: IncomingRequest) -> Response {
    let is_read = matches!(incoming.method, Method::GET | Method::HEAD);
    // Probes ask by HEAD whether somebody is there; hyper leaves the body out.
    if is_read && route::without_hub(&incoming.path) == "/status" {
        incoming.method = Method::GET;
    }
    let path = incoming.path.as_str();
    if is_read && matches!(path, "/" | "/wd/hub" | "/wd/hub/") {
        drain(incoming.body).await;
        root::answer(&incoming.headers)
    } else if browserbase::is_path(path) {
        Box::pin(browserbase::run(gateway, incoming)).await
    } else if browser_use::is_path(path) {
        Box::pin(browser_use::run(gateway, incoming)).await
    } else if cdp::is_path(path) {
        Box::pin(cdp::run(gateway, incoming)).await
    } else if browserbase::selenium::is_path(path) {
        Box::pin(browserbase::selenium::run(gateway, incoming)).await
    } else if is_read && path == "/openapi.json" {
        drain(incoming.body).await;
        let json = HeaderValue::from_static("application/json");
        warp::reply::with_header(openapi::document(), header::CONTENT_TYPE, json).into_response()
    } else {
        classic::run(gateway, incoming).await
    }
}

/// The Host of a request that DNS rebinding may have brought here. Only where clients need no credentials, because such a page has
/// none.
fn rebound_host(gateway: &Gateway, incoming: &IncomingRequest) -> Option<String> {
    gateway.authorizer.anonymous_namespace.as_ref()?;
    let peer = incoming.connection.peer.ip();
    origin::rebound_host(&incoming.headers, peer, &gateway.urls)
}

fn refuse_host(host: &str) -> Response {
    let host = shown(host);
    forbidden(format!("Host {host:?} is not this gateway's: see its externalUrl and allowedHosts"))
}

fn refuse_origin(origin: &str) -> Response {
    let origin = shown(origin);
    forbidden(format!("Origin {origin:?} is not allowed here; see the gateway's allowedOrigins"))
}

fn forbidden(message: String) -> Response {
    let error = WebDriverError::new(ErrorCode::UnknownError, message);
    let mut response = reply::failure(&error).into_response();
    *response.status_mut() = StatusCode::FORBIDDEN;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_command_waits_in_is_small() {
        fn size<A, B, F: Future>(_: impl Fn(A, B) -> F) -> usize {
            size_of::<F>()
        }
        let size = size(checked);
        assert!(size <= 4 << 10, "{size} bytes");
    }

    #[test]
    fn whoever_is_refused_for_now_is_told_when_to_ask_again() {
        for (status, said, expected) in [
            (StatusCode::SERVICE_UNAVAILABLE, None, Some("1")),
            (StatusCode::TOO_MANY_REQUESTS, None, Some("1")),
            (StatusCode::TOO_MANY_REQUESTS, Some("30"), Some("30")),
            (StatusCode::NOT_FOUND, None, None),
        ] {
            let mut response = status.into_response();
            if let Some(said) = said {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(said));
            }
            let response = with_retry_after(response);
            let told = response.headers().get(header::RETRY_AFTER);
            assert_eq!(told.and_then(|told| told.to_str().ok()), expected, "{status}");
        }
    }
}
