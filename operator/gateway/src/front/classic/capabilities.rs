//! A session's capabilities with the URLs of its WebSockets.

use serde_json::Value;

use crate::session::LiveSession;

/// `socket_base` is this gateway's URL as the client can reach it, `ws://...` or `wss://...`. Selenium's clients look for the
/// browser's DevTools under `se:cdp`.
pub fn capabilities(session: &LiveSession, socket_base: &str) -> Value {
    let mut capabilities = session.capabilities();
    capabilities.remove("webSocketUrl");
    let url = format!("{socket_base}/session/{}", session.session_id);
    if capabilities.get("browserName").is_some_and(|name| name == "chrome") {
        let version = capabilities.get("browserVersion").cloned().unwrap_or_default();
        capabilities.insert("se:cdp".to_owned(), format!("{url}/se/cdp").into());
        capabilities.insert("se:cdpVersion".to_owned(), version);
    }
    if session.bidi {
        capabilities.insert("webSocketUrl".to_owned(), url.into());
    }
    capabilities.into()
}
