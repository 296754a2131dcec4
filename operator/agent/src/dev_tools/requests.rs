//! A client's request to its session's DevTools: an HTTP endpoint, or a socket.

use std::{sync::Arc, time::Duration};

use agent_api::bind::Driver;
use http::{HeaderMap, StatusCode, header};
use net::{body::drain, handshake, request::IncomingRequest};
use serde_json::Value;
use tokio::time::{error::Elapsed, timeout};
use tokio_tungstenite::tungstenite;
use tokio_util::task::TaskTracker;
use warp::{Reply, reply::Response};
use webdriver::route::DevTools;

use super::{hidden_targets::HiddenTargets, http_endpoints, relay, target_list};
use crate::{
    driver::{BrowserSocket, CdpError, DriverError, Endpoint},
    end::EndPolicy,
    session::Session,
    websocket,
};

/// How long the browser may take to open a socket.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const NOT_CHROME: &str = "this session's browser is Firefox, which has no Chrome DevTools Protocol (CDP); \
    it speaks WebDriver and WebDriver BiDi";

/// Why the browser's DevTools did not do what a client asked.
#[derive(Debug, thiserror::Error)]
enum DevToolsError {
    #[error(transparent)]
    Driver(#[from] DriverError),
    #[error(transparent)]
    HiddenTargets(#[from] CdpError),
    #[error(transparent)]
    Socket(#[from] tungstenite::Error),
    #[error(transparent)]
    Timeout(#[from] Elapsed),
}

/// Answers a request. `direct`: the client came without the gateway, which puts its own URL before the paths in an answer;
/// a direct client gets this agent's URL.
pub async fn handle(
    session: Arc<Session>,
    requested: DevTools<'_>,
    incoming: IncomingRequest,
    direct: bool,
    end_policy: &EndPolicy,
    tasks: &TaskTracker,
) -> Response {
    let Some(browser) = session.driver_session.dev_tools.clone() else {
        drain(incoming.body).await;
        return no_dev_tools(&session);
    };
    if requested.is_socket() {
        return open_socket(session, requested, &browser, incoming, end_policy, tasks).await;
    }
    drain(incoming.body).await;
    // A client that asks for the endpoint of its DevTools may never connect, so this is no use of the session.
    let base = if direct { base_url(&incoming.headers, &session) } else { String::new() };
    match answer(&session, requested, &base).await {
        Ok(answer) => warp::reply::json(&answer).into_response(),
        Err(error) => {
            tracing::debug!(error = &error as &dyn std::error::Error, "the browser's DevTools");
            StatusCode::BAD_GATEWAY.into_response()
        }
    }
}

async fn answer(
    session: &Session,
    requested: DevTools<'_>,
    base: &str,
) -> Result<Value, DevToolsError> {
    Ok(match requested {
        DevTools::Version => target_list::version(http_endpoints::version(session).await?, base),
        _ => {
            let targets = http_endpoints::targets(session).await?;
            target_list::targets(targets, session.hidden_targets().await?, base)
        }
    })
}

fn no_dev_tools(session: &Session) -> Response {
    let message = match session.driver.kind() {
        Driver::Geckodriver => NOT_CHROME,
        Driver::Chromedriver => "this session's browser said nothing of its DevTools",
    };
    warp::reply::with_status(message, StatusCode::NOT_FOUND).into_response()
}

/// The URL that a client used, up to the session.
fn base_url(headers: &HeaderMap, session: &Session) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    host.map_or_else(String::new, |host| format!("ws://{host}/session/{}", session.id()))
}

async fn open_socket(
    session: Arc<Session>,
    requested: DevTools<'_>,
    browser: &Endpoint,
    incoming: IncomingRequest,
    end_policy: &EndPolicy,
    tasks: &TaskTracker,
) -> Response {
    let Some(upgrade) = incoming.upgrade else { return StatusCode::BAD_REQUEST.into_response() };
    let accept = match websocket::accept_key(&incoming.headers) {
        Ok(accept) => accept,
        Err(refusal) => return handshake::refused(refusal),
    };
    let reads_control_frames =
        handshake::key(&incoming.headers).is_ok_and(handshake::reads_control_frames);
    let connected = match timeout(CONNECT_TIMEOUT, connect(&session, requested, browser)).await {
        Ok(connected) => connected,
        Err(elapsed) => Err(elapsed.into()),
    };
    match connected {
        Ok(Some((browser, hidden))) => {
            let client = relay::Client { upgrade, reads_control_frames };
            tasks.spawn(relay::serve(client, browser, hidden, session, end_policy.clone()));
            handshake::accepted(accept)
        }
        Ok(None) => {
            let message = "this session's browser has no target of this id";
            warp::reply::with_status(message, StatusCode::NOT_FOUND).into_response()
        }
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "the browser's DevTools");
            StatusCode::BAD_GATEWAY.into_response()
        }
    }
}

/// A socket to the requested target, and what it hides; `None` where the browser has no such target.
async fn connect(
    session: &Session,
    requested: DevTools<'_>,
    browser: &Endpoint,
) -> Result<Option<(BrowserSocket, HiddenTargets)>, DevToolsError> {
    let targets = http_endpoints::targets(session).await?;
    let hidden = session.hidden_targets().await?;
    let endpoint = match requested {
        DevTools::Page { target } if target_list::has(&targets, hidden, target) => {
            Endpoint { port: browser.port, path: format!("/devtools/page/{target}") }
        }
        DevTools::Page { .. } => return Ok(None),
        _ => {
            // Clients expect a browser to begin with a page; a client before them may have closed it.
            if target_list::first_page(&targets, hidden).is_none() {
                http_endpoints::open_page(session, browser).await?;
            }
            browser.clone()
        }
    };
    Ok(Some((endpoint.open().await?, HiddenTargets::new(hidden.to_vec()))))
}
