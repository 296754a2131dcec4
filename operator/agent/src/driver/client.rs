//! Speaking to the driver over loopback.

use std::{sync::Arc, time::Duration};

use agent_api::bind::{Driver, NewSession};
use bytes::Bytes;
use http::{Method, Request, Response, Uri, header};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::TokioExecutor,
};
use net::{
    Body, BoxError,
    body::collect,
    forward::{empty, full},
};
use serde_json::{Map, Value};
use tokio::time::timeout;

use super::{
    DriverSession, browser, chrome, firefox,
    kind::{self, Endpoint, Options},
    shown, system,
};

/// The most bytes of a reply that the agent reads for itself.
const MAX_REPLY: usize = 16 << 20;

/// How long the browser's DevTools may take to answer.
const DEV_TOOLS: Duration = Duration::from_secs(10);

/// The most lines of a driver's message that say something; what follows is its own stack.
const MAX_MESSAGE_LINES: usize = 3;

/// A driver's message in one line.
fn short(message: &str) -> String {
    let lines: Vec<&str> = message.lines().map(str::trim).take(MAX_MESSAGE_LINES).collect();
    lines.join(": ")
}

/// Why the driver did not do it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// It has exited, or never came up.
    #[error("the driver is not running")]
    NotRunning,
    /// It does not answer.
    #[error("the driver does not answer: {0}")]
    NoAnswer(Arc<BoxError>),
    /// It refused, in its own words.
    #[error("{0}")]
    Refused(String),
}

fn no_answer(error: impl Into<BoxError>) -> Error {
    Error::NoAnswer(Arc::new(error.into()))
}

/// The way to the driver.
#[derive(Clone, Debug)]
pub struct Client {
    http: legacy::Client<HttpConnector, Body>,
    port: u16,
    driver: Driver,
}

impl Client {
    /// The driver at a port of loopback.
    pub fn new(port: u16, driver: Driver) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self { http: legacy::Client::builder(TokioExecutor::new()).build(connector), port, driver }
    }

    /// Which driver it is.
    pub fn kind(&self) -> Driver {
        self.driver
    }

    /// The URI of a path (with its query) at the driver.
    ///
    /// # Errors
    /// A path that HTTP cannot carry.
    pub fn uri(&self, path_and_query: &str) -> Result<Uri, http::Error> {
        Uri::builder()
            .scheme("http")
            .authority(format!("127.0.0.1:{}", self.port))
            .path_and_query(path_and_query)
            .build()
    }

    /// Sends a request as it is.
    ///
    /// # Errors
    /// [`Error::NoAnswer`].
    pub async fn send(&self, request: Request<Body>) -> Result<Response<Incoming>, Error> {
        self.http.request(request).await.map_err(no_answer)
    }

    /// Runs one command and gives the `value` of its reply.
    ///
    /// # Errors
    /// The driver's refusal.
    pub async fn command(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Error> {
        let uri = self.uri(path).map_err(no_answer)?;
        let (status, bytes) = self.exchange(method, uri, body).await?;
        let mut reply: Value = serde_json::from_slice(&bytes).map_err(no_answer)?;
        let value = reply.get_mut("value").map(Value::take).unwrap_or_default();
        if status.is_success() {
            return Ok(value);
        }
        let message = value.get("message").and_then(Value::as_str).unwrap_or("no reason given");
        Err(Error::Refused(short(message)))
    }

    /// Makes a session.
    ///
    /// # Errors
    /// The driver's refusal.
    pub async fn new_session(
        &self,
        wanted: &NewSession,
        options: &Options,
    ) -> Result<DriverSession, Error> {
        let preferences = match (wanted.os, options.driver) {
            (Some(os), Driver::Geckodriver) => {
                firefox::other_system(options.browser.as_deref(), os).map_err(|error| {
                    let message = "spec.os: the image does not say which Firefox it has";
                    Error::Refused(format!("{message}: {error}"))
                })?
            }
            _ => Map::new(),
        };
        let body = options.new_session(wanted, preferences);
        let mut value = self.command(Method::POST, "/session", Some(&body)).await?;
        let (Some(Value::String(id)), Some(Value::Object(capabilities))) = (
            value.get_mut("sessionId").map(Value::take),
            value.get_mut("capabilities").map(Value::take),
        ) else {
            return Err(Error::Refused("the driver's answer has no session".to_owned()));
        };
        let browser = browser::process_id(&capabilities);
        let address = chrome::debugger_address(&capabilities).map(ToOwned::to_owned);
        let (bidi, mut visible) = (kind::bidi(&capabilities), options.visible(capabilities));
        let version = match address {
            Some(address) => self.dev_tools_version(&address).await,
            None => None,
        };
        let text = |name: &str| version.as_ref()?.get(name)?.as_str();
        let dev_tools = text("webSocketDebuggerUrl").and_then(Endpoint::of_url);
        // New Session must say what the browser calls itself, and chromedriver does not.
        if let Some(user_agent) = text("User-Agent") {
            visible.entry("userAgent").or_insert_with(|| user_agent.into());
        }
        let shown = match (wanted.os, options.driver) {
            (Some(os), Driver::Chromedriver) => {
                let (Some(browser), Some(own)) = (dev_tools.as_ref(), text("User-Agent")) else {
                    let message = "spec.os: the browser said nothing of its DevTools";
                    return Err(Error::Refused(message.to_owned()));
                };
                let how = system::chrome_override(own, os).ok_or_else(|| {
                    Error::Refused(format!("spec.os: the browser calls itself {own:?}"))
                })?;
                visible.insert("userAgent".to_owned(), how["userAgent"].clone());
                let shown = shown::show(browser, how).await;
                Some(shown.map_err(|error| Error::Refused(format!("spec.os: {error}")))?)
            }
            _ => None,
        };
        Ok(DriverSession { id, capabilities: visible, bidi, dev_tools, browser, _shown: shown })
    }

    /// Ends a session.
    ///
    /// # Errors
    /// The driver's refusal.
    pub async fn delete_session(&self, id: &str) -> Result<(), Error> {
        self.command(Method::DELETE, &format!("/session/{id}"), None).await.map(drop)
    }

    /// What the browser's DevTools say of themselves.
    async fn dev_tools_version(&self, address: &str) -> Option<Value> {
        let browser = Endpoint::of_address(address)?;
        self.dev_tools(&browser, Method::GET, "/json/version").await.ok()
    }

    /// Asks the browser's DevTools, which want a Host of this machine.
    ///
    /// # Errors
    /// They do not answer in time, or refuse.
    pub async fn dev_tools(
        &self,
        browser: &Endpoint,
        method: Method,
        path: &str,
    ) -> Result<Value, Error> {
        let uri = Uri::builder().scheme("http").authority(browser.authority()).path_and_query(path);
        let uri = uri.build().map_err(no_answer)?;
        let asking = self.exchange(method, uri, None);
        let (status, bytes) = timeout(DEV_TOOLS, asking).await.map_err(no_answer)??;
        if !status.is_success() {
            return Err(Error::Refused(format!("DevTools answered with status {status}")));
        }
        serde_json::from_slice(&bytes).map_err(no_answer)
    }

    async fn exchange(
        &self,
        method: Method,
        uri: Uri,
        body: Option<&Value>,
    ) -> Result<(http::StatusCode, Bytes), Error> {
        let mut request = Request::new(body.map_or_else(empty, |body| full(body.to_string())));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        request.headers_mut().insert(
            header::CONTENT_TYPE,
            header::HeaderValue::from_static("application/json; charset=utf-8"),
        );
        let response = self.send(request).await?;
        let status = response.status();
        let bytes = collect(response.into_body(), MAX_REPLY).await.map_err(no_answer)?;
        Ok((status, bytes))
    }
}
