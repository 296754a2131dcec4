//! Chrome DevTools Protocol: sockets and `/json/...` of sessions that exist, with a signed link; and `/json/version` without
//! one, which makes a session, because that is all that a client with a base URL asks for.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use net::{
    body::{collect_within, drain, empty},
    forward::SIGNING_KEY,
    handshake,
    request::IncomingRequest,
};
use serde_json::{Value, json};
use tokio::time::timeout;
use warp::{Reply, reply::Response};

use super::{
    bidi,
    hosted::on_demand::{OnDemand, create_on_demand},
};
use crate::state::Gateway;
use crate::{session::LiveSession, traffic, urls};

/// What an agent puts before a path of its browser's that the gateway is to make a URL of.
const MARKER: &str = "/cdp/devtools/";
/// Where it stands.
const SOCKET: &str = "webSocketDebuggerUrl";
/// The most bytes of an answer of a browser's, and how long it may take.
const MAX_ANSWER: usize = 2 << 20;
const ANSWER: Duration = Duration::from_secs(10);

/// Whether a path is of this front.
pub fn is_path(path: &str) -> bool {
    path.starts_with("/cdp/") || path.starts_with("/json/") || path == "/json"
}

/// Answers a request without a socket.
pub async fn run(gateway: Arc<Gateway>, incoming: IncomingRequest) -> Response {
    let path = incoming.path.trim_end_matches('/').to_owned();
    if incoming.method != Method::GET {
        return refuse(incoming, StatusCode::METHOD_NOT_ALLOWED, "this path can only be read")
            .await;
    }
    if let Some(rest) = path.strip_prefix("/cdp/") {
        let (id, rest) = split(rest);
        return match authorised(&gateway, id, &incoming) {
            Ok(link) => of_session(&gateway, id, rest, &link, incoming).await,
            Err(why) => refuse(incoming, StatusCode::UNAUTHORIZED, why).await,
        };
    }
    match path.as_str() {
        "/json/version" if gateway.cdp_on_demand => on_demand(&gateway, incoming).await,
        "/json/version" => {
            let why = "sessions are not made by this path here: see the gateway's cdpOnDemand";
            refuse(incoming, StatusCode::NOT_FOUND, why).await
        }
        _ => {
            let why = "without a session there is only /json/version, which makes one; pages are listed below the session's own URL";
            refuse(incoming, StatusCode::NOT_FOUND, why).await
        }
    }
}

/// Answers a handshake below `/cdp/`.
pub async fn socket(gateway: Arc<Gateway>, incoming: IncomingRequest) -> Response {
    let path = incoming.path.trim_end_matches('/').to_owned();
    let (id, rest) = split(path.strip_prefix("/cdp/").unwrap_or_default());
    if let Err(why) = authorised(&gateway, id, &incoming) {
        return warp::reply::with_status(why, StatusCode::UNAUTHORIZED).into_response();
    }
    let key = match handshake::key(&incoming.headers) {
        Ok(key) => key.clone(),
        Err(why) => return handshake::refused(why),
    };
    let Some(upgrade) = incoming.upgrade else { return StatusCode::BAD_REQUEST.into_response() };
    bidi::of_session(&gateway, id, &format!("/cdp{rest}"), &key, upgrade).await
}

fn split(path: &str) -> (&str, &str) {
    path.split_at(path.find('/').unwrap_or(path.len()))
}

/// The link of a request, if it is for this session. It stands in the query, because clients keep that.
fn authorised(
    gateway: &Gateway,
    id: &str,
    incoming: &IncomingRequest,
) -> Result<String, &'static str> {
    let in_query = url::form_urlencoded::parse(incoming.query.as_bytes())
        .find(|(name, _)| name == "signingKey")
        .map(|(_, value)| value.into_owned());
    let in_header = || {
        let value = incoming.headers.get(SIGNING_KEY)?.to_str().ok()?;
        Some(value.to_owned())
    };
    let link =
        in_query.or_else(in_header).ok_or("the signingKey of the session's URL is missing")?;
    let now = (gateway.clock)().as_second();
    match gateway.directory.open_link(&link, now) {
        Some(session) if session == id => Ok(link),
        _ => Err("the signingKey is not of this session, or its time is over"),
    }
}

async fn of_session(
    gateway: &Gateway,
    id: &str,
    rest: &str,
    link: &str,
    incoming: IncomingRequest,
) -> Response {
    let base = base(gateway, &incoming);
    let entry = match gateway.directory.find(id).await {
        Ok(entry) if entry.bidi_only => {
            let why = "this session was made on a bare socket, and is reachable over that alone";
            return refuse(incoming, StatusCode::NOT_FOUND, why).await;
        }
        Ok(entry) => entry,
        Err(error) => return refuse(incoming, StatusCode::NOT_FOUND, error.message).await,
    };
    drain(incoming.body).await;
    match ask(&entry, rest).await {
        Ok((status, body)) => match serde_json::from_slice(&body) {
            Ok(mut value) => {
                rewrite(&mut value, &format!("{base}/cdp/{id}"), link);
                warp::reply::with_status(warp::reply::json(&value), status).into_response()
            }
            // The agent's own words, such as that Firefox has none of it.
            Err(_) => warp::reply::with_status(body.to_vec(), status).into_response(),
        },
        Err(error) => warp::reply::with_status(error, StatusCode::BAD_GATEWAY).into_response(),
    }
}

/// A session for a client that has only this gateway's URL: it ends with its socket.
async fn on_demand(gateway: &Gateway, incoming: IncomingRequest) -> Response {
    let base = base(gateway, &incoming);
    let headers = incoming.headers;
    drain(incoming.body).await;
    match create_on_demand(gateway, &headers).await {
        Ok(OnDemand { session, signing_key, guard }) => {
            match ask(&session, "/json/version").await {
                Ok((status, body)) => {
                    if status.is_success() {
                        guard.disarm();
                    }
                    let mut value: Value = serde_json::from_slice(&body).unwrap_or_default();
                    rewrite(
                        &mut value,
                        &format!("{base}/cdp/{}", session.session_id),
                        &signing_key,
                    );
                    warp::reply::with_status(warp::reply::json(&value), status).into_response()
                }
                Err(error) => {
                    warp::reply::with_status(error, StatusCode::BAD_GATEWAY).into_response()
                }
            }
        }
        Err(problem) => {
            let body = warp::reply::json(&json!({"error": problem.message()}));
            let status = problem.status(StatusCode::BAD_REQUEST);
            warp::reply::with_status(body, status).into_response()
        }
    }
}

fn base(gateway: &Gateway, incoming: &IncomingRequest) -> String {
    let peer = incoming.connection.peer.ip();
    urls::socket_base(&gateway.urls, None, &incoming.headers, peer)
}

/// Asks a session's agent for something of its DevTools.
async fn ask(entry: &LiveSession, rest: &str) -> Result<(StatusCode, Bytes), String> {
    let target = format!("/session/{}/cdp{rest}", entry.session_id);
    let asking = traffic::command(entry, Method::GET, &target, HeaderMap::new(), empty());
    let response = timeout(ANSWER, asking)
        .await
        .map_err(|_| "the browser's pod gave no answer in time".to_owned())?
        .map_err(|error| format!("the browser's pod gave no answer: {error}"))?;
    let status = response.status();
    // What stands there is its pages' to say: however long, it must not fill this replica.
    let body = collect_within(response.into_body(), MAX_ANSWER, ANSWER)
        .await
        .map_err(|error| format!("the browser's answer: {error}"))?;
    Ok((status, body))
}

/// Makes URLs of the agent's marks. Only where the agent puts them: a page may call itself anything.
fn rewrite(value: &mut Value, session: &str, link: &str) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(|value| rewrite(value, session, link)),
        Value::Object(values) => {
            if let Some(Value::String(text)) = values.get_mut(SOCKET)
                && let Some(path) = text.strip_prefix(MARKER)
            {
                *text = format!("{session}/devtools/{path}?signingKey={link}");
            }
        }
        _ => {}
    }
}

/// A page of a browser.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Page {
    /// DevTools' id of it.
    pub id: String,
    /// Where it is.
    pub url: String,
    /// What it is called.
    pub title: String,
    /// Its picture.
    pub favicon_url: String,
    #[serde(rename = "type")]
    kind: String,
}

/// The pages of a session's browser.
///
/// # Errors
/// It gives no answer, or has no DevTools.
pub async fn pages(entry: &LiveSession) -> Result<Vec<Page>, String> {
    let (_, body) = ask(entry, "/json/list").await?;
    let pages: Vec<Page> =
        serde_json::from_slice(&body).map_err(|_| String::from_utf8_lossy(&body).into_owned())?;
    Ok(pages.into_iter().filter(|page| page.kind == "page").collect())
}

async fn refuse(incoming: IncomingRequest, status: StatusCode, why: impl Into<String>) -> Response {
    drain(incoming.body).await;
    warp::reply::with_status(why.into(), status).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_become_urls_of_the_session() {
        let mut value = json!([{
            "webSocketDebuggerUrl": "/cdp/devtools/page/AB", "title": "/cdp/devtools/x",
        }]);
        rewrite(&mut value, "wss://h/cdp/i", "l");
        assert_eq!(
            value,
            json!([{
                "webSocketDebuggerUrl": "wss://h/cdp/i/devtools/page/AB?signingKey=l",
                "title": "/cdp/devtools/x",
            }])
        );
    }
}
