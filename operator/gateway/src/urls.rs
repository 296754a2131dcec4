//! Under which URL a client finds its session again.

use http::{HeaderMap, header};
use serde_json::Value;

/// The base of WebSocket URLs in a reply: the configured URL, else the one that a Selenium client says it used, else
/// the request's Host.
pub fn socket_base(
    external: Option<&str>,
    remote_url: Option<&str>,
    headers: &HeaderMap,
) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let base = external
        .map(ToOwned::to_owned)
        .or_else(|| remote_url.and_then(base_of))
        .or_else(|| host.map(|host| format!("http://{host}")))
        .unwrap_or_default();
    // http becomes ws, https becomes wss.
    base.replacen("http", "ws", 1)
}

/// The URL without credentials, query and slash; `None` where it is no web URL.
fn base_of(url: &str) -> Option<String> {
    let uri: http::Uri = url.parse().ok()?;
    let scheme = uri.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https"))?;
    let authority = uri.authority()?.as_str();
    let host = authority.rsplit('@').next()?;
    Some(format!("{scheme}://{host}{}", uri.path().trim_end_matches('/')))
}

/// Selenium's `se:remoteUrl`, wherever it stands in a request's capabilities.
pub fn remote_url(capabilities: &Value) -> Option<&str> {
    let always = capabilities.get("alwaysMatch").into_iter();
    let first = capabilities.get("firstMatch").and_then(Value::as_array).into_iter().flatten();
    always.chain(first).find_map(|set| set.get("se:remoteUrl")?.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use serde_json::json;

    #[test]
    fn the_configured_url_goes_before_the_clients_and_that_before_host() {
        let headers =
            HeaderMap::from_iter([(header::HOST, HeaderValue::from_static("gateway:4444"))]);
        let remote = Some("https://user:secret@grid.example/wd/hub/");
        for (external, remote, expected) in [
            (Some("https://browsers.example"), remote, "wss://browsers.example"),
            (None, remote, "wss://grid.example/wd/hub"),
            (None, Some("nonsense"), "ws://gateway:4444"),
            (None, None, "ws://gateway:4444"),
        ] {
            assert_eq!(socket_base(external, remote, &headers), expected);
        }
    }

    #[test]
    fn a_selenium_client_says_which_url_it_used() {
        let asked = json!({"alwaysMatch": {"se:remoteUrl": "http://a"}, "firstMatch": [{}]});
        assert_eq!(remote_url(&asked), Some("http://a"));
        assert_eq!(
            remote_url(&json!({"firstMatch": [{"se:remoteUrl": "http://b"}]})),
            Some("http://b")
        );
        assert_eq!(remote_url(&json!({})), None);
    }
}
