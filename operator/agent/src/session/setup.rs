//! What a session's spec asks for before its client gets it: the size of the viewport, and the first page.

use std::time::Duration;

use agent_api::bind::Settings;
use http::Method;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::navigation;
use crate::{
    driver::{DriverClient, DriverError, DriverSession},
    egress::LostPages,
};

/// How long the first page may take to load.
const START_URL_TIMEOUT: Duration = Duration::from_secs(20);

/// Sets up a session. What fails becomes a warning, and does not fail the session.
pub async fn run(
    driver: &DriverClient,
    session: &DriverSession,
    settings: &Settings,
    lost_pages: &LostPages,
) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some((width, height)) = settings.viewport
        && let Err(error) = set_viewport(driver, session, width, height).await
    {
        warnings.push(format!("spec.viewport could not be set: {error}"));
    }
    if let Some(url) = &settings.start_url {
        let path = format!("/session/{}/url", session.id);
        let body = json!({"url": url});
        let mark = lost_pages.mark();
        match timeout(START_URL_TIMEOUT, driver.command(Method::POST, &path, Some(&body))).await {
            Ok(Ok(_)) => {
                if let Some(why) = navigation::lost(lost_pages, mark, driver, &session.id).await {
                    warnings.push(format!("spec.startUrl did not load: {why}"));
                }
            }
            Ok(Err(error)) => warnings.push(format!("spec.startUrl did not load: {error}")),
            Err(_) => warnings.push(format!(
                "spec.startUrl did not load within {} seconds",
                START_URL_TIMEOUT.as_secs()
            )),
        }
    }
    warnings
}

/// WebDriver sizes windows, not viewports: the size of the window's frame is added.
async fn set_viewport(
    driver: &DriverClient,
    session: &DriverSession,
    width: i32,
    height: i32,
) -> Result<(), DriverError> {
    let path = |rest: &str| format!("/session/{}/{rest}", session.id);
    let script = json!({
        "script": "return [outerWidth - innerWidth, outerHeight - innerHeight]", "args": [],
    });
    let frame = driver.command(Method::POST, &path("execute/sync"), Some(&script)).await?;
    let of = |i: usize| frame.get(i).and_then(Value::as_i64).unwrap_or(0);
    let rect = json!({"width": i64::from(width) + of(0), "height": i64::from(height) + of(1)});
    driver.command(Method::POST, &path("window/rect"), Some(&rect)).await.map(drop)
}
