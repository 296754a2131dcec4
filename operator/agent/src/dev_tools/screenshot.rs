//! A picture of the page in front, for those who only look: taking one is no use of the session.

use std::time::Duration;

use base64::{DecodeError, Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{StatusCode, header};
use serde_json::{Value, json};
use tokio::time::{error::Elapsed, timeout};
use warp::{Reply, reply::Response};

use super::{http_endpoints, target_list};
use crate::{
    driver::{
        DriverError, Endpoint,
        cdp::{self, CdpError},
    },
    session::Session,
};

/// How long a browser may take: a page that shows a dialog gives no picture.
const CAPTURE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a picture is served again, however many look.
const TTL: Duration = Duration::from_secs(1);
/// JPEG's quality, of 100.
const QUALITY: u8 = 60;

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
enum ScreenshotError {
    #[error(transparent)]
    Driver(#[from] DriverError),
    #[error(transparent)]
    Cdp(#[from] CdpError),
    #[error("the browser refused: {0}")]
    Refused(Value),
    #[error(transparent)]
    Base64(#[from] DecodeError),
    #[error(transparent)]
    Timeout(#[from] Elapsed),
}

/// Answers with a JPEG, or 404 where there is none to be had.
pub async fn handle(session: &Session) -> Response {
    let Some(browser) = &session.driver_session.dev_tools else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let capturing = async {
        let captured = timeout(CAPTURE_TIMEOUT, capture(session, browser)).await;
        captured.unwrap_or_else(|elapsed| Err(elapsed.into())).unwrap_or_else(|error| {
            let error = &error as &dyn std::error::Error;
            tracing::debug!(error, "no picture of the page");
            None
        })
    };
    match session.screenshot.recent(TTL, capturing).await {
        Some(jpeg) => {
            let reply = Response::new(jpeg.into());
            warp::reply::with_header(reply, header::CONTENT_TYPE, "image/jpeg").into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Captures the page in front; `None` where there is no page.
async fn capture(session: &Session, browser: &Endpoint) -> Result<Option<Bytes>, ScreenshotError> {
    let targets = http_endpoints::targets(session).await?;
    let Some(page) = target_list::first_page(&targets, session.hidden_targets().await?) else {
        return Ok(None);
    };
    let page = Endpoint { port: browser.port, path: format!("/devtools/page/{page}") };
    let params = json!({"format": "jpeg", "quality": QUALITY});
    let mut answer = cdp::call(&page, "Page.captureScreenshot", params).await?;
    match answer["result"]["data"].as_str() {
        Some(data) => Ok(Some(BASE64_STANDARD.decode(data)?.into())),
        None => Err(ScreenshotError::Refused(answer["error"].take())),
    }
}
