//! WebDriver's replies, as the agent itself makes them.

use http::StatusCode;
use net::{
    body::{self, drain},
    request::IncomingRequest,
};
use serde_json::Value;
use warp::{Reply, reply::Response};
use webdriver::{
    error::{ErrorCode, WebDriverError},
    reply,
};

use crate::end::EndLatch;

pub fn success(value: &Value) -> Response {
    reply::success(value).into_response()
}

pub fn failure(error: &WebDriverError) -> Response {
    reply::failure(error).into_response()
}

/// An error, after the body that came with the request.
pub async fn refuse(incoming: IncomingRequest, error: WebDriverError) -> Response {
    drain(incoming.body).await;
    failure(&error)
}

/// The answer to a request whose body cannot be read.
pub fn refuse_body(error: &body::Error) -> Response {
    if error.is_late() {
        return reply::late(error.to_string()).into_response();
    }
    failure(&WebDriverError::invalid_argument(error.to_string()))
}

/// The answer to a command that comes after the session's end.
pub fn session_ended(end: &EndLatch) -> Response {
    failure(&match end.get() {
        Some(end) => WebDriverError::session_over(end.reason.as_str(), &end.message),
        None => WebDriverError::invalid_session_id(),
    })
}

pub fn unknown_command(message: &str) -> WebDriverError {
    WebDriverError::new(ErrorCode::UnknownCommand, message)
}

/// "act as if the requested service is not available" (BiDi, section "Transport").
pub fn not_available() -> Response {
    StatusCode::NOT_FOUND.into_response()
}
