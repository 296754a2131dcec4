//! A client of the hosted browser services' APIs that shows replies as they are, and the API keys that it shows.

use std::{env, path::PathBuf, process::Stdio, time::Duration};

use anyhow::{Context, Result, ensure};
use http::header;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::{process::Command, sync::OnceCell};

use crate::{Bidi, Namespace, Reply, finally::finally, settings::checkout, wait::eventually};

/// Longer than the gateway's own limit for a create call.
const TIMEOUT: Duration = Duration::from_secs(90);
/// For a key to reach every gateway.
const KEY_TIMEOUT: Duration = Duration::from_secs(10);
/// Requests after which every replica behind the Service has answered one.
const REQUESTS_FOR_ALL_REPLICAS: usize = 8;

/// The header of the API key.
pub const BROWSERBASE_KEY: &str = "X-BB-API-Key";
/// The header of the API key.
pub const BROWSER_USE_KEY: &str = "X-Browser-Use-API-Key";

/// An API key.
#[derive(Clone, Debug)]
pub struct Key {
    pub text: String,
    /// The public part of the key.
    pub id: String,
}

impl Key {
    /// Creates a key for a namespace with the administrators' command, and waits until the gateways know it.
    pub async fn create(namespace: &Namespace) -> Result<Self> {
        let key = Self::unused(&namespace.name, &[]).await?;
        let client = Hosted::new(&namespace.cluster.settings.gateway_url, Some(&key.text));
        for _ in 0..REQUESTS_FOR_ALL_REPLICAS {
            client.until_status("/v1/projects", 200).await?;
        }
        Ok(key)
    }

    /// Creates a key with more arguments, without waiting for the gateways.
    pub async fn unused(namespace: &str, arguments: &[&str]) -> Result<Self> {
        let text = command(&[&["create", namespace], arguments].concat()).await?.trim().to_owned();
        let id = text.split('_').nth(1).context("an id in the key")?.to_owned();
        Ok(Self { text, id })
    }

    pub async fn revoke(&self) -> Result<()> {
        command(&["revoke", &self.id]).await.map(drop)
    }
}

/// Runs a test with a key that is revoked afterwards.
pub async fn with_key<T>(
    namespace: &Namespace,
    test: impl AsyncFnOnce(Key) -> Result<T>,
) -> Result<T> {
    let key = Key::create(namespace).await?;
    finally(Box::pin(test(key.clone())), key.revoke()).await
}

/// Runs `browser-operator key` of this checkout and returns its output.
pub async fn command(arguments: &[&str]) -> Result<String> {
    let output = Command::new(operator().await?).arg("key").args(arguments).output().await?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "key {arguments:?}: {complaint}");
    Ok(String::from_utf8(output.stdout)?)
}

/// The operator's program, built from this checkout.
async fn operator() -> Result<PathBuf> {
    static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
    BUILT.get_or_try_init(build).await.cloned()
}

async fn build() -> Result<PathBuf> {
    let mut cargo = Command::new("cargo");
    // What `cargo test` tells a test of its package would have ring, and all that stands on it, compiled again.
    for (name, _) in env::vars()
        .filter(|(name, _)| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
    {
        cargo.env_remove(name);
    }
    let output = cargo
        .args(["build", "--quiet", "--locked", "--package", "browser-operator"])
        .arg("--message-format=json-render-diagnostics")
        .current_dir(checkout())
        .stderr(Stdio::inherit())
        .output()
        .await
        .context("run cargo")?;
    ensure!(output.status.success(), "cargo build: {}", output.status);
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|message| message["executable"].as_str().map(PathBuf::from))
        .find(|program| program.file_name().is_some_and(|name| name == "browser-operator"))
        .context("cargo built no browser-operator")
}

/// A client of one gateway that sends its key in both services' headers.
#[derive(Clone)]
pub struct Hosted {
    http: Client,
    base: String,
    key: Option<String>,
}

impl Hosted {
    /// A client of the gateway at `base`.
    ///
    /// # Panics
    /// The machine gives no sockets.
    #[must_use]
    pub fn new(base: &str, key: Option<&str>) -> Self {
        // A connection for each request: they go to whichever replica the Service chooses.
        let http = Client::builder().timeout(TIMEOUT).no_proxy().pool_max_idle_per_host(0);
        Self {
            http: http.build().expect("an HTTP client"),
            base: base.trim_end_matches('/').to_owned(),
            key: key.map(ToOwned::to_owned),
        }
    }

    #[must_use]
    pub fn of(namespace: &Namespace, key: &Key) -> Self {
        Self::new(&namespace.cluster.settings.gateway_url, Some(&key.text))
    }

    /// Sends a request. `path` is a path, or a whole URL that the gateway gave.
    pub async fn send(&self, method: Method, path: &str, body: Option<String>) -> Result<Reply> {
        self.send_with(method, path, body, &[]).await
    }

    /// Like [`Self::send`], with more headers.
    pub async fn send_with(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
        headers: &[(&str, &str)],
    ) -> Result<Reply> {
        let url =
            if path.starts_with('/') { format!("{}{path}", self.base) } else { path.to_owned() };
        let mut request = self.http.request(method.clone(), url);
        if let Some(key) = &self.key {
            request = request.header(BROWSERBASE_KEY, key).header(BROWSER_USE_KEY, key);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.header(header::CONTENT_TYPE, "application/json").body(body);
        }
        let reply = request.send().await.with_context(|| format!("{method} {path}"))?;
        let (status, headers) = (reply.status().as_u16(), reply.headers().clone());
        let text = reply.text().await.with_context(|| format!("the reply to {method} {path}"))?;
        // What is no JSON is shown as the text that it is.
        let body = if text.is_empty() { Value::Null } else { parsed(text) };
        Ok(Reply { status, headers, body })
    }

    /// Sends a request that must get this status, and returns the body.
    pub async fn expect(
        &self,
        status: u16,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value> {
        let reply = self.send(method.clone(), path, body.map(|body| body.to_string())).await?;
        ensure!(reply.status == status, "{method} {path}: {} {}", reply.status, reply.body);
        Ok(reply.body)
    }

    /// GET, which must succeed.
    pub async fn get(&self, path: &str) -> Result<Value> {
        self.expect(200, Method::GET, path, None).await
    }

    /// Creates a session through Browserbase's API.
    pub async fn browserbase(&self, body: Value) -> Result<Value> {
        self.expect(201, Method::POST, "/v1/sessions", Some(body)).await
    }

    /// Ends it and returns the call's answer.
    pub async fn release(&self, id: &str) -> Result<Value> {
        let body = json!({"status": "REQUEST_RELEASE"});
        self.expect(200, Method::POST, &format!("/v1/sessions/{id}"), Some(body)).await
    }

    /// Creates a session or a browser through Browser Use's API; `kind` is `sessions` or `browsers`.
    pub async fn browser_use(&self, kind: &str, body: Value) -> Result<Value> {
        self.expect(201, Method::POST, &format!("/api/v2/{kind}"), Some(body)).await
    }

    /// Ends it and returns the call's answer.
    pub async fn stop(&self, kind: &str, id: &str) -> Result<Value> {
        let body = json!({"action": "stop"});
        self.expect(200, Method::PATCH, &format!("/api/v2/{kind}/{id}"), Some(body)).await
    }

    /// Reads a path until it is answered with this status.
    pub async fn until_status(&self, path: &str, status: u16) -> Result<Reply> {
        eventually(KEY_TIMEOUT, async || {
            let reply = self.send(Method::GET, path, None).await?;
            ensure!(reply.status == status, "{path}: {} {}", reply.status, reply.body);
            Ok(reply)
        })
        .await
    }
}

fn parsed(text: String) -> Value {
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

/// The session's id in a reply.
pub fn id(reply: &Value) -> Result<String> {
    Ok(reply["id"].as_str().with_context(|| format!("no id in {reply}"))?.to_owned())
}

/// A DevTools URL below the one that an API returned, with its credentials.
pub fn below(url: &str, path: &str) -> Result<String> {
    let (base, query) = url.split_once('?').with_context(|| format!("{url} has no query"))?;
    Ok(format!("{}{path}?{query}", base.replacen("ws", "http", 1)))
}

/// The URL of the browser's DevTools socket.
#[must_use]
pub fn socket(url: &str) -> String {
    url.replacen("http", "ws", 1)
}

/// A socket on a session's page, from the DevTools URL that an API returned.
pub async fn page(client: &Hosted, url: &str) -> Result<Bidi> {
    let targets = client.get(&below(url, "/json/list")?).await?;
    let page = targets.as_array().into_iter().flatten().find(|target| target["type"] == "page");
    let socket = page.with_context(|| format!("no page in {targets}"))?["webSocketDebuggerUrl"]
        .as_str()
        .context("webSocketDebuggerUrl")?;
    Bidi::connect(socket).await
}

pub async fn evaluate(page: &mut Bidi, expression: &str) -> Result<Value> {
    let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
    let reply = page.send_command("Runtime.evaluate", params).await?;
    let value = reply["result"]["result"].get("value");
    Ok(value.with_context(|| format!("{expression}: {reply}"))?.clone())
}
