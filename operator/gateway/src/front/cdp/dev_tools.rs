//! What a browser's DevTools say of themselves, by its agent.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use net::{
    agent,
    body::{self, collect_within, content_length, empty},
};
use serde_json::Value;
use tokio::time::timeout;

use crate::{
    session::LiveSession,
    state::Gateway,
    traffic::{self, Busy, Turn},
};

/// What an agent puts before a path that the gateway is to make a URL of.
const MARKER: &str = "/cdp/devtools/";
/// The field that has such a path.
const SOCKET_URL: &str = "webSocketDebuggerUrl";
/// The most bytes of an answer: what stands there is its pages' to say.
const MAX_ANSWER: usize = 2 << 20;
/// The most bytes of one that needs no turn.
const SMALL_ANSWER: usize = 64 << 10;
/// How long the answer may take, and again its body.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the browser's pod gave no answer in time")]
    TimedOut,
    #[error("the browser's pod gave no answer: {0}")]
    NoAnswer(#[source] agent::Error),
    #[error("the browser's answer: {0}")]
    Body(#[source] body::Error),
    /// The agent's words, such as that Firefox has no DevTools.
    #[error("{0}")]
    NotDevTools(String),
    #[error("{0}")]
    Busy(#[from] Busy),
}

/// What an agent says of its browser's DevTools.
pub struct Answer {
    pub status: StatusCode,
    pub body: Bytes,
    /// Of a large one.
    pub turn: Option<Turn>,
}

/// The answer of a session's agent to a GET of a path of its DevTools.
pub async fn get(gateway: &Gateway, session: &LiveSession, path: &str) -> Result<Answer, Error> {
    let target = format!("/session/{}/cdp{path}", session.session_id);
    let asking = traffic::forward(session, Method::GET, &target, HeaderMap::new(), empty());
    let response = timeout(ANSWER_TIMEOUT, asking)
        .await
        .map_err(|_| Error::TimedOut)?
        .map_err(Error::NoAnswer)?;
    let status = response.status();
    let is_small = content_length(response.headers()).is_some_and(|length| length <= SMALL_ANSWER);
    let turn =
        if is_small { None } else { Some(gateway.large_answers.turn(&session.namespace).await?) };
    let body = collect_within(response.into_body(), MAX_ANSWER, ANSWER_TIMEOUT).await;
    Ok(Answer { status, body: body.map_err(Error::Body)?, turn })
}

/// Replaces the agent's markers with URLs, only where the agent puts them: a page may call itself anything.
pub fn insert_urls(value: &mut Value, session: &str, signing_key: &str) {
    match value {
        Value::Array(values) => {
            values.iter_mut().for_each(|value| insert_urls(value, session, signing_key))
        }
        Value::Object(values) => {
            if let Some(Value::String(text)) = values.get_mut(SOCKET_URL)
                && let Some(path) = text.strip_prefix(MARKER)
            {
                *text = format!("{session}/devtools/{path}?signingKey={signing_key}");
            }
        }
        _ => {}
    }
}

/// A page of a browser, as DevTools list it.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Page {
    pub id: String,
    pub url: String,
    pub title: String,
    pub favicon_url: String,
    #[serde(rename = "type")]
    kind: String,
}

/// The pages of a session's browser.
pub async fn pages(
    gateway: &Gateway,
    session: &LiveSession,
) -> Result<(Vec<Page>, Option<Turn>), Error> {
    let Answer { body, turn, .. } = get(gateway, session, "/json/list").await?;
    let mut pages: Vec<Page> = serde_json::from_slice(&body)
        .map_err(|_| Error::NotDevTools(String::from_utf8_lossy(&body).into_owned()))?;
    pages.retain(|page| page.kind == "page");
    Ok((pages, turn))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn marks_become_urls_of_the_session() {
        let mut value = json!([{
            "webSocketDebuggerUrl": "/cdp/devtools/page/AB", "title": "/cdp/devtools/x",
        }]);
        insert_urls(&mut value, "wss://h/cdp/i", "l");
        assert_eq!(
            value,
            json!([{
                "webSocketDebuggerUrl": "wss://h/cdp/i/devtools/page/AB?signingKey=l",
                "title": "/cdp/devtools/x",
            }])
        );
    }
}
