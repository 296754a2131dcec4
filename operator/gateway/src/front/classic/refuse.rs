//! Answers with an error.

use http::{HeaderValue, StatusCode, header};
use net::{
    body::{self, drain},
    request::IncomingRequest,
};
use warp::{Reply, reply::Response};
use webdriver::{error::WebDriverError, reply};

use crate::auth;

pub fn failure(error: &WebDriverError) -> Response {
    reply::failure(error).into_response()
}

/// Answers a request whose body cannot be read.
pub fn refuse_body(error: &body::Error) -> Response {
    if error.is_late() {
        return reply::late(error.to_string()).into_response();
    }
    failure(&WebDriverError::invalid_argument(error.to_string()))
}

/// Answers with an error once the request's body has been read.
pub async fn refuse(incoming: IncomingRequest, error: &WebDriverError) -> Response {
    drain(incoming.body).await;
    failure(error)
}

/// A replica that ends or is busy creates no session; another may, and the client may ask again soon.
pub fn unavailable(error: &WebDriverError) -> Response {
    let mut response = failure(error);
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response
}

/// A client that may not create sessions: its error, with the HTTP status that says why.
pub fn refuse_caller(error: &auth::Error) -> Response {
    let status = match error {
        auth::Error::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
        auth::Error::Forbidden(_) => StatusCode::FORBIDDEN,
        auth::Error::Throttled(_) => StatusCode::TOO_MANY_REQUESTS,
        auth::Error::Unknown(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let mut response = failure(&WebDriverError::session_not_created(error.to_string()));
    *response.status_mut() = status;
    if status == StatusCode::UNAUTHORIZED {
        let scheme = HeaderValue::from_static("Bearer, Basic realm=\"browser-operator\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
    }
    if let auth::Error::Throttled(wait) = error {
        let seconds = HeaderValue::from(wait.as_secs().max(1));
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    response
}
