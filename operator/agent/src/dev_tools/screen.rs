//! A picture of the page that is in front, for those who only look: no use of the session.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use http::{StatusCode, header};
use runtime::http::BoxError;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::{client_async_with_config, tungstenite::Message};
use warp::{Reply, reply::Response};

use super::{listing, targets};
use crate::{driver::Endpoint, session::Session, socket};

/// How long a browser may take for one: a page that shows a dialog gives none.
const LIMIT: Duration = Duration::from_secs(5);
/// How long one is shown again, however many look.
const FRESH: Duration = Duration::from_secs(1);
/// JPEG's quality, of 100.
const QUALITY: u8 = 60;

/// The last one, if there was one, and when.
#[derive(Default)]
pub struct Screen(tokio::sync::Mutex<Option<(Instant, Option<Bytes>)>>);

/// Answers with a picture of a session's page.
pub async fn run(session: &Session) -> Response {
    let Some(browser) = &session.upstream.dev_tools else {
        return StatusCode::NOT_FOUND.into_response();
    };
    // One at a time: whoever comes meanwhile gets the same.
    let mut last = session.screen.0.lock().await;
    let known = last.as_ref().filter(|(taken, _)| taken.elapsed() < FRESH);
    let picture = match known {
        Some((_, picture)) => picture.clone(),
        None => {
            let taken = timeout(LIMIT, take(session, browser)).await;
            let picture = taken.unwrap_or_else(|slow| Err(slow.into())).unwrap_or_else(|error| {
                tracing::debug!(error, "no picture of the page");
                None
            });
            *last = Some((Instant::now(), picture.clone()));
            picture
        }
    };
    match picture {
        Some(picture) => {
            let reply = Response::new(picture.into());
            warp::reply::with_header(reply, header::CONTENT_TYPE, "image/jpeg").into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Takes one; `None` where there is no page.
async fn take(session: &Session, browser: &Endpoint) -> Result<Option<Bytes>, BoxError> {
    let targets = targets(session).await?;
    let Some(page) = listing::first_page(&targets, session.hidden().await?) else {
        return Ok(None);
    };
    let page = Endpoint { port: browser.port, path: format!("/devtools/page/{page}") };
    let stream = page.connect().await?;
    let (mut page, _) =
        client_async_with_config(page.url(), stream, Some(socket::config())).await?;
    let how = json!({"format": "jpeg", "quality": QUALITY});
    let command = json!({"id": 1, "method": "Page.captureScreenshot", "params": how});
    page.send(Message::text(command.to_string())).await?;
    while let Some(message) = page.next().await {
        let Message::Text(text) = message? else { continue };
        let answer: Value = serde_json::from_str(&text)?;
        if answer["id"] == 1 {
            let data = answer["result"]["data"].as_str();
            let data = data.ok_or_else(|| format!("the browser refused: {}", answer["error"]))?;
            return Ok(Some(BASE64_STANDARD.decode(data)?.into()));
        }
    }
    Err("the browser hung up".into())
}
