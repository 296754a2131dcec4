//! The HTTP endpoints of the browser's DevTools.

use http::Method;
use serde_json::Value;

use crate::{
    driver::{DriverError, Endpoint},
    session::Session,
};

/// What the browser says of itself.
pub async fn version(session: &Session) -> Result<Value, DriverError> {
    get(session, "/json/version").await
}

/// The browser's targets.
pub async fn targets(session: &Session) -> Result<Value, DriverError> {
    get(session, "/json/list").await
}

/// Opens a page.
pub async fn open_page(session: &Session, browser: &Endpoint) -> Result<Value, DriverError> {
    session.driver.dev_tools(browser, Method::PUT, "/json/new?about:blank").await
}

async fn get(session: &Session, path: &str) -> Result<Value, DriverError> {
    let browser = session.driver_session.dev_tools.as_ref().ok_or(DriverError::NotRunning)?;
    session.driver.dev_tools(browser, Method::GET, path).await
}
