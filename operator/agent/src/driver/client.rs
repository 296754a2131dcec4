//! The HTTP client of the driver, and of the browser's DevTools: both listen on loopback alone.

use std::time::Duration;

use agent_api::bind::Driver;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, Uri, header};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::TokioExecutor,
};
use net::{
    Body,
    body::{self, collect, empty, full},
};
use serde_json::Value;
use tokio::time::{error::Elapsed, timeout};

use super::{endpoint::Endpoint, error_text};

/// The most bytes of a reply that the agent reads for itself.
const MAX_REPLY: usize = 16 << 20;
/// How long the browser's DevTools may take to answer.
const DEV_TOOLS_TIMEOUT: Duration = Duration::from_secs(10);
/// How many lines of a driver's message are kept; what follows is its stack.
const MAX_MESSAGE_LINES: usize = 3;

/// The Content-Type of every request: the driver refuses what is not JSON by its name.
pub const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// Why the driver did not run a command.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// It has exited, or never came up.
    #[error("the driver is not running")]
    NotRunning,
    #[error("the driver does not answer: {0}")]
    NoAnswer(ExchangeError),
    /// An error of WebDriver's, in the driver's own words.
    #[error("{0}")]
    Refused(String),
    #[error("DevTools answered with status {0}")]
    DevTools(http::StatusCode),
}

/// Why a request has no answer that can be read.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    #[error(transparent)]
    Uri(#[from] http::Error),
    #[error(transparent)]
    Http(#[from] legacy::Error),
    #[error(transparent)]
    Body(#[from] body::Error),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Timeout(#[from] Elapsed),
}

fn no_answer(error: impl Into<ExchangeError>) -> DriverError {
    DriverError::NoAnswer(error.into())
}

/// The connection pool of one driver. Clones share it.
#[derive(Clone, Debug)]
pub struct DriverClient {
    http: legacy::Client<HttpConnector, Body>,
    port: u16,
    driver: Driver,
}

impl DriverClient {
    /// `port` is one of loopback.
    pub fn new(port: u16, driver: Driver) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self { http: legacy::Client::builder(TokioExecutor::new()).build(connector), port, driver }
    }

    pub fn kind(&self) -> Driver {
        self.driver
    }

    /// The URI of a path, with its query, at the driver.
    pub fn uri(&self, path_and_query: &str) -> Result<Uri, http::Error> {
        Uri::builder()
            .scheme("http")
            .authority(format!("127.0.0.1:{}", self.port))
            .path_and_query(path_and_query)
            .build()
    }

    /// Sends a request as it is.
    pub async fn send(&self, request: Request<Body>) -> Result<Response<Incoming>, DriverError> {
        self.http.request(request).await.map_err(no_answer)
    }

    /// Runs one command and returns the `value` of its reply.
    pub async fn command(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, DriverError> {
        let uri = self.uri(path).map_err(no_answer)?;
        let (status, bytes) = self.exchange(method, uri, body).await?;
        let mut reply: Value = serde_json::from_slice(&bytes).map_err(no_answer)?;
        let value = reply.get_mut("value").map(Value::take).unwrap_or_default();
        if status.is_success() {
            return Ok(value);
        }
        let message = value.get("message").and_then(Value::as_str).unwrap_or("no reason given");
        Err(DriverError::Refused(one_line(&error_text::cleaned(message, "", ""))))
    }

    pub async fn delete_session(&self, id: &str) -> Result<(), DriverError> {
        self.command(Method::DELETE, &format!("/session/{id}"), None).await.map(drop)
    }

    /// Sends a request to the browser's DevTools, which want a Host of this machine.
    pub async fn dev_tools(
        &self,
        browser: &Endpoint,
        method: Method,
        path: &str,
    ) -> Result<Value, DriverError> {
        let uri = Uri::builder().scheme("http").authority(browser.authority()).path_and_query(path);
        let uri = uri.build().map_err(no_answer)?;
        let exchange = self.exchange(method, uri, None);
        let (status, bytes) = timeout(DEV_TOOLS_TIMEOUT, exchange).await.map_err(no_answer)??;
        if !status.is_success() {
            return Err(DriverError::DevTools(status));
        }
        serde_json::from_slice(&bytes).map_err(no_answer)
    }

    async fn exchange(
        &self,
        method: Method,
        uri: Uri,
        body: Option<&Value>,
    ) -> Result<(http::StatusCode, Bytes), DriverError> {
        let mut request = Request::new(body.map_or_else(empty, |body| full(body.to_string())));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        request.headers_mut().insert(header::CONTENT_TYPE, JSON);
        let response = self.send(request).await?;
        let status = response.status();
        let bytes = collect(response.into_body(), MAX_REPLY).await.map_err(no_answer)?;
        Ok((status, bytes))
    }
}

/// A driver's message in one line.
fn one_line(message: &str) -> String {
    let lines: Vec<&str> = message.lines().map(str::trim).take(MAX_MESSAGE_LINES).collect();
    lines.join(": ")
}
