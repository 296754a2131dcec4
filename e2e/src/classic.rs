//! A WebDriver Classic client that shows replies as they are.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use http::HeaderMap;
use reqwest::{Client, Method};
use serde_json::{Value, json};

const TIMEOUT: Duration = Duration::from_secs(120);

#[derive(Clone)]
pub struct Classic {
    http: Client,
    base: String,
    token: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    /// The body, which must be JSON.
    pub body: Value,
}

/// A session that was made.
#[derive(Clone, Debug)]
pub struct Created {
    /// The WebDriver session id.
    pub id: String,
    /// The matched capabilities.
    pub capabilities: Value,
}

impl Classic {
    /// A client of the gateway at `base`, which shows `token`.
    ///
    /// # Panics
    /// The machine gives no sockets.
    #[must_use]
    pub fn new(base: &str, token: Option<String>) -> Self {
        let http = Client::builder().timeout(TIMEOUT).no_proxy().build().expect("an HTTP client");
        Self { http, base: base.trim_end_matches('/').to_owned(), token }
    }

    /// The same client for another base URL.
    #[must_use]
    pub fn at(&self, base: &str) -> Self {
        Self { base: base.trim_end_matches('/').to_owned(), ..self.clone() }
    }

    /// Sends a command; `path` is not encoded.
    pub async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Reply> {
        self.send_text(method, path, body.map(Value::to_string)).await
    }

    /// Like [`Self::send`], with a body that need not be JSON.
    pub async fn send_text(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
    ) -> Result<Reply> {
        let mut request = self.http.request(method.clone(), format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.header(http::header::CONTENT_TYPE, "application/json").body(body);
        }
        let reply = request.send().await.with_context(|| format!("{method} {path}"))?;
        let (status, headers) = (reply.status().as_u16(), reply.headers().clone());
        let text = reply.text().await.with_context(|| format!("the reply to {method} {path}"))?;
        let body = serde_json::from_str(&text)
            .with_context(|| format!("the reply to {method} {path} is no JSON: {text:?}"))?;
        Ok(Reply { status, headers, body })
    }

    /// Sends a command that must succeed, and returns its value.
    pub async fn value(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let reply = self.send(method.clone(), path, body).await?;
        ensure!(reply.status == 200, "{method} {path}: {} {}", reply.status, reply.body);
        reply.body.get("value").cloned().context("a reply without value")
    }

    pub async fn get(&self, path: &str) -> Result<Value> {
        self.value(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Result<Value> {
        self.value(Method::POST, path, Some(&body)).await
    }

    pub async fn delete(&self, path: &str) -> Result<Value> {
        self.value(Method::DELETE, path, None).await
    }

    pub async fn new_session(&self, always_match: Value) -> Result<Created> {
        let body = json!({"capabilities": {"alwaysMatch": always_match}});
        let value = self.post("/session", body).await?;
        Ok(Created {
            id: value["sessionId"].as_str().context("sessionId")?.to_owned(),
            capabilities: value["capabilities"].clone(),
        })
    }

    pub async fn open(&self, session: &str, url: &str) -> Result<()> {
        self.post(&format!("/session/{session}/url"), json!({"url": url})).await.map(drop)
    }

    pub async fn title(&self, session: &str) -> Result<String> {
        let title = self.get(&format!("/session/{session}/title")).await?;
        Ok(title.as_str().context("the title")?.to_owned())
    }

    pub async fn script(&self, session: &str, script: &str, args: Value) -> Result<Value> {
        let path = format!("/session/{session}/execute/sync");
        self.post(&path, json!({"script": script, "args": args})).await
    }
}

impl Reply {
    /// The error code; empty if it is no error.
    #[must_use]
    pub fn error(&self) -> &str {
        self.body["value"]["error"].as_str().unwrap_or_default()
    }

    /// The error message; empty if it is no error.
    #[must_use]
    pub fn message(&self) -> &str {
        self.body["value"]["message"].as_str().unwrap_or_default()
    }

    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}
