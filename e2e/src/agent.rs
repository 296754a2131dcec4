//! A browser pod's port, for whoever goes there without the gateway.

use anyhow::{Context, Result};
use reqwest::Method;

/// The status of a request that goes straight to a pod.
///
/// # Errors
/// There is no reply.
pub async fn status(ip: &str, method: Method, path: &str, token: Option<&str>) -> Result<u16> {
    let client = reqwest::Client::builder().no_proxy().build().context("an HTTP client")?;
    let mut request = client.request(method, format!("http://{}{path}", address(ip))).body("{}");
    if let Some(token) = token {
        request = request.bearer_auth(token).header("browser-operator-challenge", "00112233");
    }
    Ok(request.send().await.with_context(|| format!("ask {path}"))?.status().as_u16())
}

/// The address of an agent's port.
#[must_use]
pub fn address(ip: &str) -> String {
    if ip.contains(':') { format!("[{ip}]:4444") } else { format!("{ip}:4444") }
}
