//! The driver's reply to a command. Most are carried as they are; some mean the end of the session, and some are not
//! WebDriver's.

use bytes::Bytes;
use http::{StatusCode, header};
use net::{
    body::{collect, content_length, drain},
    forward,
};
use serde_json::{Value, json};
use warp::{Reply, reply::Response};
use webdriver::{
    error::{ErrorCode, WebDriverError},
    reply,
};

use super::replies::{failure, session_ended, unknown_command};
use crate::{
    driver::error_text,
    end::{BrowserLoss, EndPolicy},
    session::{Session, activity::ClosingWindow},
};

/// The most bytes of a reply that the agent reads.
const MAX_READ: usize = 1 << 20;
/// How a driver's message begins when its browser is gone.
const BROWSER_LOST: [&str; 4] = [
    "Failed to decode response from marionette",
    "Tried to run command without establishing a connection",
    "chrome not reachable",
    "disconnected: ",
];
/// How it begins when the page has crashed.
const PAGE_CRASHED: &str = "session deleted because of page crash";

/// Turns the driver's reply into the client's. A reply that means the end of the session ends it.
pub async fn handle(
    end_policy: &EndPolicy,
    session: &Session,
    response: http::Response<hyper::body::Incoming>,
    closing_window: Option<ClosingWindow<'_>>,
) -> Response {
    let status = response.status();
    let is_json = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/json"));
    if !is_json {
        return not_web_driver(response).await;
    }
    let is_too_long = content_length(response.headers()).is_none_or(|length| length > MAX_READ);
    let is_error = !status.is_success();
    if is_error && is_too_long {
        return too_long(response).await;
    }
    if closing_window.is_none() && !is_error {
        return with_webdriver_headers(forward::reply(response));
    }
    let (parts, body) = response.into_parts();
    let bytes = match collect(body, MAX_READ).await {
        Ok(bytes) => bytes,
        Err(error) => {
            return failure(&WebDriverError::new(
                ErrorCode::UnknownError,
                format!("the driver's answer broke off: {error}"),
            ));
        }
    };
    let value = serde_json::from_slice::<Value>(&bytes)
        .ok()
        .and_then(|mut reply| reply.get_mut("value").map(Value::take))
        .unwrap_or_default();
    if let Some(closing_window) = closing_window {
        if parts.status.is_success() && value == Value::Array(Vec::new()) {
            end_policy.last_window_closed();
        }
        closing_window.answered();
    }
    if let Some(lost) = driver_lost(&value) {
        // A page that crashed is not one that a client closed.
        let last_window = lost == DriverLost::Browser && session.activity.lost_last_window();
        end_policy.browser_lost(last_window, &BrowserLoss::DriverLostIt);
        return session_ended(end_policy.latch());
    }
    if is_error {
        return error_reply(session, parts.status, value, bytes);
    }
    let reply = warp::reply::with_status(Vec::from(bytes), parts.status).into_response();
    with_webdriver_headers(reply)
}

/// A driver's error in the client's terms.
fn error_reply(session: &Session, status: StatusCode, mut error: Value, bytes: Bytes) -> Response {
    if error_text::is_not_utf8(session.driver.kind(), &error) {
        return failure(&WebDriverError::invalid_argument("the body is not UTF-8"));
    }
    let body = if error_text::clean(&mut error, &session.driver_session.id, session.id()) {
        json!({"value": error}).to_string().into_bytes()
    } else {
        Vec::from(bytes)
    };
    with_webdriver_headers(warp::reply::with_status(body, status).into_response())
}

/// The answer for an error that is too long to be looked through: it may hold what is the driver's alone.
async fn too_long(response: http::Response<hyper::body::Incoming>) -> Response {
    let status = response.status();
    drain(response.into_body()).await;
    let message =
        format!("the driver's error, of status {status}, is longer than {MAX_READ} bytes");
    failure(&WebDriverError::new(ErrorCode::UnknownError, message))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DriverLost {
    Browser,
    Page,
}

/// Whether a reply says that the driver has lost its browser or its session. Only the beginning of a message counts, which
/// is the driver's: a page may have put any words into the rest.
fn driver_lost(value: &Value) -> Option<DriverLost> {
    let text = |name| value.get(name).and_then(Value::as_str).unwrap_or_default();
    match text("error") {
        "invalid session id" => Some(DriverLost::Browser),
        "unknown error" => {
            let message = text("message");
            let message = message.strip_prefix("unknown error: ").unwrap_or(message);
            let is_browser = BROWSER_LOST.iter().any(|prefix| message.starts_with(prefix));
            let is_page = message.starts_with(PAGE_CRASHED);
            is_browser.then_some(DriverLost::Browser).or(is_page.then_some(DriverLost::Page))
        }
        _ => None,
    }
}

/// The answer for a reply that is not WebDriver's: this driver does not have the path, or its HTTP server failed.
async fn not_web_driver(response: http::Response<hyper::body::Incoming>) -> Response {
    let status = response.status();
    drain(response.into_body()).await;
    if matches!(status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED) {
        return failure(&unknown_command("this browser's driver has no such command"));
    }
    let message = format!("the driver's answer, of status {status}, is not WebDriver's");
    failure(&WebDriverError::new(ErrorCode::UnknownError, message))
}

/// Sets the headers of WebDriver's replies to the letter, whatever the driver writes.
fn with_webdriver_headers(mut response: Response) -> Response {
    for (name, value) in reply::HEADERS {
        response.headers_mut().insert(name, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_that_lost_its_browser_is_understood() {
        for (error, message, expected) in [
            ("invalid session id", "session deleted", Some(DriverLost::Browser)),
            (
                "unknown error",
                "Failed to decode response from marionette",
                Some(DriverLost::Browser),
            ),
            (
                "unknown error",
                "disconnected: not connected to DevTools\n  (Session info)",
                Some(DriverLost::Browser),
            ),
            ("unknown error", "net::ERR_CONNECTION_REFUSED", None),
            ("no such window", "disconnected: ", None),
            (
                "unknown error",
                "unknown error: session deleted because of page crash",
                Some(DriverLost::Page),
            ),
            (
                "unknown error",
                "unknown error: Runtime.evaluate threw exception: Error: disconnected: chrome not reachable",
                None,
            ),
        ] {
            let value = json!({"error": error, "message": message, "stacktrace": ""});
            assert_eq!(driver_lost(&value), expected, "{error}: {message}");
        }
        assert_eq!(driver_lost(&json!(["a"])), None);
    }
}
