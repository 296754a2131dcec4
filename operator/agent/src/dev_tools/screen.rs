//! A picture of the page that is in front, for those who only look: no use of the session.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{StatusCode, header};
use net::BoxError;
use serde_json::json;
use support::ttl_cache::Fresh;
use tokio::time::timeout;
use warp::{Reply, reply::Response};

use super::{listing, targets};
use crate::{driver::Endpoint, session::Session};

/// How long a browser may take for one: a page that shows a dialog gives none.
const LIMIT: Duration = Duration::from_secs(5);
/// How long one is shown again, however many look.
const FRESH: Duration = Duration::from_secs(1);
/// JPEG's quality, of 100.
const QUALITY: u8 = 60;

/// The last one, if there was one.
pub type Screen = Fresh<Option<Bytes>>;

/// Answers with a picture of a session's page.
pub async fn run(session: &Session) -> Response {
    let Some(browser) = &session.upstream.dev_tools else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let taking = async {
        let taken = timeout(LIMIT, take(session, browser)).await;
        taken.unwrap_or_else(|slow| Err(slow.into())).unwrap_or_else(|error| {
            tracing::debug!(error, "no picture of the page");
            None
        })
    };
    let picture = session.screen.get(FRESH, taking).await;
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
    let how = json!({"format": "jpeg", "quality": QUALITY});
    let answer = page.ask("Page.captureScreenshot", how).await?;
    let data = answer["result"]["data"].as_str();
    let data = data.ok_or_else(|| format!("the browser refused: {}", answer["error"]))?;
    Ok(Some(BASE64_STANDARD.decode(data)?.into()))
}
