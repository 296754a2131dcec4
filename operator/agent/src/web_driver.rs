//! What a client asks of the session: commands over HTTP, and sockets.

use crds::Reason;
use std::{path::Path, sync::Arc, time::Duration};

use agent_api::bind::Driver;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use hyper::upgrade::OnUpgrade;
use net::{
    BoxError,
    body::{collect, collect_within, drain},
    forward::{self, empty},
    handshake,
    request::Incoming,
};
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use warp::{Reply, reply::Response};
use webdriver::{
    error::{ErrorCode, WebDriverError},
    reply,
    route::{self, DevTools, Route, Socket},
};

use crate::{
    bidi,
    dev_tools::{
        self,
        command::{Meaning, QUIT},
        execute,
    },
    ending::LAST_WINDOW,
    session::{Session, life::CloseWindow},
    shared::Shared,
    upload,
};

/// The most bytes of a driver's reply that the agent looks into.
const MAX_LOOKED_INTO: usize = 1 << 20;
/// The most bytes of a body that comes in chunks: its length must be known before the driver gets it.
const MAX_CHUNKED: usize = 64 << 20;
/// How long it may take to come.
const CHUNKED_TIME: Duration = Duration::from_secs(300);
/// Where uploads are kept: the one place that may be written to.
const UPLOADS: &str = "/tmp";
/// What drivers say in a message when their browser is gone.
const GONE: [&str; 4] = [
    "Failed to decode response from marionette",
    "Tried to run command without establishing a connection",
    "chrome not reachable",
    "disconnected: ",
];
/// The same when its page is.
const CRASHED: &str = "session deleted because of page crash";

/// Runs a request. The id in its path is what a client proves itself with; through the gateway the connection is proven
/// too.
pub async fn run(shared: &Arc<Shared>, incoming: Incoming, trusted: bool) -> Response {
    let session = |id: &str| {
        shared
            .session()
            .filter(|session| session.is(id) && (trusted || session.settings.exposed))
            .cloned()
    };
    let wants_socket = handshake::wants_websocket(&incoming.method, &incoming.headers);
    let path = incoming.path.clone();
    if let Some((id, asked)) = dev_tools_of(&path)
        && asked.is_socket() == wants_socket
        && incoming.method == Method::GET
    {
        return match session(id) {
            Some(session) if trusted || over_http(&session) => {
                dev_tools::run(shared, session, asked, incoming, !trusted).await
            }
            _ if wants_socket => not_here(),
            _ => refuse(incoming, WebDriverError::invalid_session_id()).await,
        };
    }
    if wants_socket {
        return match route::socket(&path) {
            Socket::Session { id } => match session(id) {
                // Its one socket comes through the gateway, which made it (BiDi, section "Transport").
                Some(session) if trusted || !session.settings.bidi_only => {
                    open_bidi(shared, session, &incoming.headers, incoming.upgrade)
                }
                _ => not_here(),
            },
            Socket::Bare | Socket::DevTools { .. } | Socket::Unknown => not_here(),
        };
    }
    match route::classic(&incoming.method, &path) {
        Route::DeleteSession { id } => match session(id).filter(over_http) {
            // The driver and its browser end with the agent.
            Some(_) => {
                drain(incoming.body).await;
                shared.ending.begin(Reason::ClientEnded, "Delete Session");
                success(&Value::Null)
            }
            None => refuse(incoming, WebDriverError::invalid_session_id()).await,
        },
        Route::Command { id, rest } => match session(id).filter(over_http) {
            Some(session) => run_command(shared, &session, rest, incoming).await,
            None => refuse(incoming, WebDriverError::invalid_session_id()).await,
        },
        Route::UnknownMethod => {
            let message = "the command at this path has another method";
            refuse(incoming, WebDriverError::new(ErrorCode::UnknownMethod, message)).await
        }
        Route::Status | Route::NewSession | Route::UnknownCommand => {
            refuse(incoming, unknown_command("no such command here")).await
        }
    }
}

/// "act as if the requested service is not available" (BiDi, section "Transport").
fn not_here() -> Response {
    StatusCode::NOT_FOUND.into_response()
}

fn open_bidi(
    shared: &Shared,
    session: Arc<Session>,
    headers: &HeaderMap,
    upgrade: Option<OnUpgrade>,
) -> Response {
    let (Some(hub), Some(upgrade)) = (session.hub.clone(), upgrade) else {
        return not_here();
    };
    let accept = match handshake::key(headers) {
        Ok(key) => derive_accept_key(key.as_bytes()),
        Err(why) => return handshake::refused(why),
    };
    let Ok(accept) = HeaderValue::from_str(&accept) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    shared.tasks.spawn(bidi::serve(upgrade, session, hub, shared.ending.clone()));
    handshake::accepted(accept)
}

/// What a path asks of which session's DevTools.
fn dev_tools_of(path: &str) -> Option<(&str, DevTools<'_>)> {
    let (id, rest) = route::of_session(path)?;
    route::dev_tools(rest).map(|asked| (id, asked))
}

/// Whether it is reachable over HTTP: one that was made by session.new is not (BiDi, section "Session").
fn over_http(session: &Arc<Session>) -> bool {
    !session.settings.bidi_only
}

/// `rest` is the path behind the session's id.
async fn run_command(
    shared: &Shared,
    session: &Session,
    rest: &str,
    incoming: Incoming,
) -> Response {
    let _running = session.life.command();
    if let Some(error) = not_of(session.driver.kind(), rest) {
        return refuse(incoming, error).await;
    }
    if incoming.method == Method::POST && matches!(rest, "/se/file" | "/file") {
        let _turn = shared.uploading.lock().await;
        return match upload::take(incoming.body, Path::new(UPLOADS)).await {
            Ok(value) => success(&value),
            Err(error) => failure(&error),
        };
    }
    let closes_window = incoming.method == Method::DELETE && rest == "/window";
    let mut incoming = match plain(incoming, rest).await {
        Ok(incoming) => incoming,
        Err(error) => return failure(&error),
    };
    match execute::meaning(&mut incoming, rest).await {
        Ok(Meaning::Plain) => {}
        Ok(Meaning::ClosesPage) => session.life.closing().suspected(Instant::now()),
        Ok(Meaning::Quits) => {
            shared.ending.begin(Reason::ClientEnded, QUIT);
            return success(&json!({}));
        }
        Err(error) => return failure(&error),
    }
    let closing = closes_window.then(|| session.life.close_window());
    match send(session, rest, incoming).await {
        Ok(response) => look_at(shared, session, response, closing).await,
        Err(error) if shared.ending.has_begun() => {
            tracing::debug!(error, "during the end");
            failure(&shared.ending.error())
        }
        Err(error) => failure(&WebDriverError::new(
            ErrorCode::UnknownError,
            format!("the driver gave no answer: {error}"),
        )),
    }
}

/// A vendor's command at another vendor's browser.
fn not_of(driver: Driver, rest: &str) -> Option<WebDriverError> {
    let vendor = rest.split('/').nth(1)?;
    match (driver, vendor) {
        (Driver::Geckodriver, "goog" | "chromium" | "ms") => Some(unknown_command(
            "this browser is Firefox, which has no Chrome DevTools Protocol and none of Chrome's commands",
        )),
        (Driver::Chromedriver, "moz") => {
            Some(unknown_command("this browser is Chrome, which has none of Firefox' commands"))
        }
        _ => None,
    }
}

/// What drivers take no notice of as they should: a query is no part of the path, a body belongs to POST alone (WebDriver,
/// "Processing model"), and chromedriver takes none whose length it is not told.
async fn plain(mut incoming: Incoming, rest: &str) -> Result<Incoming, WebDriverError> {
    forward::remove_hop_by_hop(&mut incoming.headers);
    if !route::is_vendors(rest) {
        incoming.query.clear();
    }
    if incoming.method != Method::POST {
        drain(std::mem::replace(&mut incoming.body, empty())).await;
        incoming.headers.remove(header::CONTENT_LENGTH);
        incoming.headers.remove(header::TRANSFER_ENCODING);
    } else if !incoming.headers.contains_key(header::CONTENT_LENGTH) {
        let body = std::mem::replace(&mut incoming.body, empty());
        let body = collect_within(body, MAX_CHUNKED, CHUNKED_TIME)
            .await
            .map_err(|error| WebDriverError::invalid_argument(error.to_string()))?;
        incoming.headers.remove(header::TRANSFER_ENCODING);
        incoming.headers.insert(header::CONTENT_LENGTH, body.len().into());
        incoming.body = forward::full(body);
    }
    Ok(incoming)
}

async fn send(
    session: &Session,
    rest: &str,
    incoming: Incoming,
) -> Result<http::Response<hyper::body::Incoming>, BoxError> {
    let uri: Uri = session.driver.uri(&incoming.target(&session.driver_path(rest)))?;
    let body = if forward::has_body(&incoming.headers) { incoming.body } else { empty() };
    let mut headers = incoming.headers;
    // The driver refuses what does not come from its own machine, or is not JSON by its name.
    headers.remove(header::ORIGIN);
    headers.insert(header::CONTENT_TYPE, JSON);
    let request = forward::request(incoming.method, uri, headers, body);
    Ok(session.driver.send(request).await?)
}

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// Most replies are carried as they are. Some mean the end of the session: its last window was closed, or the driver has
/// lost the browser. And some are not WebDriver's.
async fn look_at(
    shared: &Shared,
    session: &Session,
    response: http::Response<hyper::body::Incoming>,
    closing: Option<CloseWindow<'_>>,
) -> Response {
    let status = response.status();
    let is_json = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/json"));
    if !is_json {
        return not_web_driver(response).await;
    }
    let says_much =
        forward::content_length(response.headers()).is_none_or(|length| length > MAX_LOOKED_INTO);
    let may_be_the_end = closing.is_some() || matches!(status.as_u16(), 404 | 500) && !says_much;
    if !may_be_the_end {
        return exact(forward::reply(response));
    }
    let (parts, body) = response.into_parts();
    let bytes = match collect(body, MAX_LOOKED_INTO).await {
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
    if let Some(closing) = closing {
        if parts.status.is_success() && value == Value::Array(Vec::new()) {
            shared.ending.begin(Reason::ClientEnded, LAST_WINDOW);
        }
        closing.answered();
    }
    if let Some(lost) = lost(&value) {
        // A page that crashed was none that somebody closed.
        let last_window = lost == Lost::Browser && session.life.lost_its_last_window();
        shared.ending.begin_lost(last_window, "its driver has lost it");
        return failure(&shared.ending.error());
    }
    rebuilt(parts.status, bytes)
}

/// What a driver has lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lost {
    Browser,
    Page,
}

/// Whether a driver says that it has lost its browser, or its session. Only the driver's own words count, which begin its
/// message: a page can have any words in the middle of one.
fn lost(value: &Value) -> Option<Lost> {
    let text = |name| value.get(name).and_then(Value::as_str).unwrap_or_default();
    match text("error") {
        "invalid session id" => Some(Lost::Browser),
        "unknown error" => {
            let message = text("message");
            let message = message.strip_prefix("unknown error: ").unwrap_or(message);
            let is_gone = GONE.iter().any(|gone| message.starts_with(gone));
            let is_page = message.starts_with(CRASHED);
            is_gone.then_some(Lost::Browser).or(is_page.then_some(Lost::Page))
        }
        _ => None,
    }
}

/// A reply that is none of WebDriver's: a path that this driver does not have, or a crash of its HTTP.
async fn not_web_driver(response: http::Response<hyper::body::Incoming>) -> Response {
    let status = response.status();
    drain(response.into_body()).await;
    if matches!(status.as_u16(), 404 | 405) {
        return failure(&unknown_command("this browser's driver has no such command"));
    }
    let message = format!("the driver's answer, of status {status}, is not WebDriver's");
    failure(&WebDriverError::new(ErrorCode::UnknownError, message))
}

/// The two headers to the letter, whatever the driver writes.
fn exact(mut response: Response) -> Response {
    for (name, value) in reply::HEADERS {
        response.headers_mut().insert(name, value);
    }
    response
}

fn rebuilt(status: StatusCode, bytes: Bytes) -> Response {
    exact(warp::reply::with_status(Vec::from(bytes), status).into_response())
}

/// An error, after the body that came with the request.
async fn refuse(incoming: Incoming, error: WebDriverError) -> Response {
    drain(incoming.body).await;
    failure(&error)
}

fn unknown_command(message: &str) -> WebDriverError {
    WebDriverError::new(ErrorCode::UnknownCommand, message)
}

fn success(value: &Value) -> Response {
    reply::success(value).into_response()
}

fn failure(error: &WebDriverError) -> Response {
    reply::failure(error).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_that_lost_its_browser_is_understood() {
        for (error, message, expected) in [
            ("invalid session id", "session deleted", Some(Lost::Browser)),
            ("unknown error", "Failed to decode response from marionette", Some(Lost::Browser)),
            (
                "unknown error",
                "disconnected: not connected to DevTools\n  (Session info)",
                Some(Lost::Browser),
            ),
            ("unknown error", "net::ERR_CONNECTION_REFUSED", None),
            ("no such window", "disconnected: ", None),
            (
                "unknown error",
                "unknown error: session deleted because of page crash",
                Some(Lost::Page),
            ),
            (
                "unknown error",
                "unknown error: Runtime.evaluate threw exception: Error: disconnected: chrome not reachable",
                None,
            ),
        ] {
            let value = json!({"error": error, "message": message, "stacktrace": ""});
            assert_eq!(lost(&value), expected, "{error}: {message}");
        }
        assert_eq!(lost(&json!(["a"])), None);
    }

    #[test]
    fn a_vendors_command_is_of_its_own_browser_alone() {
        for (driver, rest, refused) in [
            (Driver::Geckodriver, "/goog/cdp/execute", true),
            (Driver::Geckodriver, "/moz/context", false),
            (Driver::Chromedriver, "/goog/cdp/execute", false),
            (Driver::Chromedriver, "/moz/context", true),
            (Driver::Chromedriver, "/url", false),
        ] {
            assert_eq!(not_of(driver, rest).is_some(), refused, "{driver:?} {rest}");
        }
    }
}
