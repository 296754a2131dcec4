//! A command on its way to the driver: what drivers do not handle as they should is corrected first.

use std::time::Duration;

use http::{Method, header};
use net::{
    body::{self, collect_within, drain, empty},
    forward,
    request::IncomingRequest,
};
use webdriver::route;

use crate::{
    driver::{DriverError, JSON},
    session::Session,
};

/// The most bytes of a body that comes in chunks: the driver must be told its length first.
const MAX_CHUNKED: usize = 64 << 20;
/// How long such a body may take to come.
const CHUNKED_TIMEOUT: Duration = Duration::from_secs(300);

/// Why a command did not reach the driver.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    #[error(transparent)]
    Path(#[from] http::Error),
    #[error(transparent)]
    Driver(#[from] DriverError),
}

impl SendError {
    /// What was wrong with the command's own body, if that is why.
    pub fn of_body(&self) -> Option<body::Error> {
        match self {
            Self::Driver(DriverError::NoAnswer(error)) => body::Error::within(error),
            Self::Driver(_) | Self::Path(_) => None,
        }
    }
}

/// Removes a query, which is no part of a command's path, and a body that is not POST's (WebDriver, "Processing model").
/// Collects a body without a length: chromedriver takes none.
pub async fn prepare(
    mut incoming: IncomingRequest,
    rest: &str,
) -> Result<IncomingRequest, body::Error> {
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
        let body = collect_within(body, MAX_CHUNKED, CHUNKED_TIMEOUT).await?;
        incoming.headers.remove(header::TRANSFER_ENCODING);
        incoming.headers.insert(header::CONTENT_LENGTH, body.len().into());
        incoming.body = body::full(body);
    }
    Ok(incoming)
}

/// Sends a command to the session's driver.
pub async fn send(
    session: &Session,
    rest: &str,
    incoming: IncomingRequest,
) -> Result<http::Response<hyper::body::Incoming>, SendError> {
    let uri = session.driver.uri(&incoming.target(&session.driver_path(rest)))?;
    let body = if body::has_body(&incoming.headers) { incoming.body } else { empty() };
    let mut headers = incoming.headers;
    // The driver refuses what has a foreign Origin, or is not JSON by its name.
    headers.remove(header::ORIGIN);
    headers.insert(header::CONTENT_TYPE, JSON);
    let request = forward::request(incoming.method, uri, headers, body);
    Ok(session.driver.send(request).await?)
}
