//! The envelope of a Classic reply (WebDriver, "send a response" and "send an error").

use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use crate::error::{ErrorCode, WebDriverError};

/// The two headers of every reply, to the letter.
pub const HEADERS: [(header::HeaderName, HeaderValue); 2] = [
    (header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
];

/// A success: `{"value": value}`; the key is there even for null.
#[must_use]
pub fn success(value: &Value) -> Response<String> {
    respond(StatusCode::OK, &json!({"value": value}))
}

/// An error: its status, and its three strings.
#[must_use]
pub fn failure(error: &WebDriverError) -> Response<String> {
    let body = json!({"value": {
        "error": error.code.as_str(),
        "message": error.message,
        "stacktrace": "",
    }});
    respond(error.code.status(), &body)
}

/// The error for a request whose body does not come: as `timeout`, but the client's own.
#[must_use]
pub fn late(message: impl Into<String>) -> Response<String> {
    let mut response = failure(&WebDriverError::new(ErrorCode::Timeout, message));
    *response.status_mut() = StatusCode::REQUEST_TIMEOUT;
    response
}

fn respond(status: StatusCode, body: &Value) -> Response<String> {
    let mut response = Response::new(body.to_string());
    *response.status_mut() = status;
    response.headers_mut().extend(HEADERS);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_envelope_is_exact() {
        assert_eq!(success(&Value::Null).body(), r#"{"value":null}"#);
        let error = failure(&WebDriverError::new(ErrorCode::UnknownMethod, "no"));
        assert_eq!(error.status(), 405);
        assert_eq!(
            error.body(),
            r#"{"value":{"error":"unknown method","message":"no","stacktrace":""}}"#
        );
        assert_eq!(error.headers()["content-type"], "application/json; charset=utf-8");
        assert_eq!(error.headers()["cache-control"], "no-cache");
        assert_eq!(late("no byte came").status(), 408);
    }
}
