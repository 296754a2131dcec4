//! The browser's DevTools: its answers over HTTP, and its sockets.
//!
//! Chrome answers on loopback alone, to whoever names a Host of this machine and no Origin. The agent asks it as such, and
//! gives its clients URLs that they can use. What goes by counts as use of the session, and a socket as a socket.

mod client;
pub mod command;
pub mod execute;
mod hidden;
mod listing;
pub mod screen;

use std::{sync::Arc, time::Duration};

use agent_api::bind::Driver;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use net::{BoxError, body::drain, handshake, request::Incoming};
use serde_json::Value;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use warp::{Reply, reply::Response};
use webdriver::route::DevTools;

use crate::{
    driver::{Endpoint, Error},
    session::Session,
    shared::Shared,
};
use client::Browser;
use hidden::Hidden;

/// How long the browser may take to give a socket.
const CONNECT: Duration = Duration::from_secs(10);
/// What there is of a browser of another make.
const NO_DEV_TOOLS: &str = "this session's browser is Firefox, which has no Chrome DevTools Protocol (CDP); \
    it speaks WebDriver and WebDriver BiDi";

/// Answers what is asked of a session's DevTools. `direct`: the client came without the gateway, which puts its own URL
/// before the paths in an answer; else they are given this agent's own.
pub async fn run(
    shared: &Shared,
    session: Arc<Session>,
    asked: DevTools<'_>,
    incoming: Incoming,
    direct: bool,
) -> Response {
    let Some(browser) = session.upstream.dev_tools.clone() else {
        drain(incoming.body).await;
        return missing(&session);
    };
    if asked.is_socket() {
        return open(shared, session, asked, &browser, incoming).await;
    }
    drain(incoming.body).await;
    // To ask where its DevTools are is no use of a session: whoever does may never connect.
    let base = if direct { base(&incoming.headers, &session) } else { String::new() };
    match answer(&session, asked, &base).await {
        Ok(answer) => warp::reply::json(&answer).into_response(),
        Err(error) => {
            tracing::debug!(error, "the browser's DevTools");
            StatusCode::BAD_GATEWAY.into_response()
        }
    }
}

async fn answer(session: &Session, asked: DevTools<'_>, base: &str) -> Result<Value, BoxError> {
    Ok(match asked {
        DevTools::Version => listing::version(version(session).await?, base),
        _ => listing::targets(targets(session).await?, session.hidden().await?, base),
    })
}

fn missing(session: &Session) -> Response {
    let why = match session.driver.kind() {
        Driver::Geckodriver => NO_DEV_TOOLS,
        Driver::Chromedriver => "this session's browser said nothing of its DevTools",
    };
    warp::reply::with_status(why, StatusCode::NOT_FOUND).into_response()
}

/// The URL that a client used, up to the session.
fn base(headers: &HeaderMap, session: &Session) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    host.map_or_else(String::new, |host| format!("ws://{host}/session/{}", session.id()))
}

async fn open(
    shared: &Shared,
    session: Arc<Session>,
    asked: DevTools<'_>,
    browser: &Endpoint,
    incoming: Incoming,
) -> Response {
    let Some(upgrade) = incoming.upgrade else { return StatusCode::BAD_REQUEST.into_response() };
    let accept = match handshake::key(&incoming.headers) {
        Ok(key) => derive_accept_key(key.as_bytes()),
        Err(why) => return handshake::refused(why),
    };
    let Ok(accept) = HeaderValue::from_str(&accept) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let connected = match timeout(CONNECT, connect(&session, asked, browser)).await {
        Ok(connected) => connected,
        Err(slow) => Err(slow.into()),
    };
    match connected {
        Ok(Some((browser, hidden))) => {
            let ending = shared.ending.clone();
            shared.tasks.spawn(client::serve(upgrade, browser, hidden, session, ending));
            handshake::accepted(accept)
        }
        Ok(None) => {
            let why = "this session's browser has no target of this id";
            warp::reply::with_status(why, StatusCode::NOT_FOUND).into_response()
        }
        Err(error) => {
            tracing::warn!(error, "the browser's DevTools");
            StatusCode::BAD_GATEWAY.into_response()
        }
    }
}

/// A socket to what is asked for, and what it does not show; `None` where the browser does not have it.
async fn connect(
    session: &Session,
    asked: DevTools<'_>,
    browser: &Endpoint,
) -> Result<Option<(Browser, Hidden)>, BoxError> {
    let (targets, hidden) = (targets(session).await?, session.hidden().await?);
    let endpoint = match asked {
        DevTools::Page { target } if listing::has(&targets, hidden, target) => {
            Endpoint { port: browser.port, path: format!("/devtools/page/{target}") }
        }
        DevTools::Page { .. } => return Ok(None),
        _ => {
            // Clients take it for granted that a browser begins with a page; one before them may have closed it.
            if listing::first_page(&targets, hidden).is_none() {
                let path = "/json/new?about:blank";
                session.driver.dev_tools(browser, Method::PUT, path).await?;
            }
            browser.clone()
        }
    };
    Ok(Some((endpoint.open().await?, Hidden::new(hidden.to_vec()))))
}

/// What the browser says of itself.
async fn version(session: &Session) -> Result<Value, Error> {
    ask(session, "/json/version").await
}

/// The browser's targets.
async fn targets(session: &Session) -> Result<Value, Error> {
    ask(session, "/json/list").await
}

async fn ask(session: &Session, path: &str) -> Result<Value, Error> {
    let browser = session.upstream.dev_tools.as_ref().ok_or(Error::NotRunning)?;
    session.driver.dev_tools(browser, Method::GET, path).await
}
