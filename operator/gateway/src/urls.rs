//! This gateway's URL, as a client can reach it.

use std::{borrow::Cow, net::IpAddr};

use http::{HeaderMap, uri::Authority};
use ipnet::IpNet;
use serde_json::Value;

/// This gateway's URL, `ws://...` or `wss://...`, without a slash at its end: the configured one, else what a trusted proxy says, else
/// what a Selenium client says that it used (`remote_url`), else the request's Host.
pub fn socket_base(
    settings: &UrlSettings,
    remote_url: Option<&str>,
    headers: &HeaderMap,
    peer: IpAddr,
) -> String {
    let base = settings
        .external
        .clone()
        .or_else(|| settings.trusts(peer).then(|| forwarded(headers)).flatten())
        .or_else(|| remote_url.and_then(base_of))
        .or_else(|| text(headers, "host").map(|host| format!("http://{host}")))
        .unwrap_or_default();
    // http becomes ws, https becomes wss.
    base.replacen("http", "ws", 1)
}

#[derive(Clone, Debug, Default)]
pub struct UrlSettings {
    /// The URL that clients reach it by, without a slash at its end.
    pub external: Option<String>,
    /// The proxies whose `X-Forwarded-*` are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The cluster's DNS domain, below whose `svc` its Services are.
    pub cluster_domain: String,
    /// Other names that clients reach it by, without a port.
    pub allowed_hosts: Vec<String>,
}

impl UrlSettings {
    /// Whether a peer is a proxy whose headers are believed.
    pub fn trusts(&self, peer: IpAddr) -> bool {
        // A socket that listens on both families shows an IPv4 peer as an IPv6 one.
        let peer = peer.to_canonical();
        self.trusted_proxies.iter().any(|range| range.contains(&peer))
    }
}

/// Bytes of a host, or of a prefix: answers have URLs that begin with them, some of them many.
const MAX_FORWARDED: usize = 300;

/// The URL that a proxy's client used; `None` where the proxy names no host. The first entry of a list is the client's.
fn forwarded(headers: &HeaderMap) -> Option<String> {
    let first = |name| {
        let value = text(headers, name)?.split(',').next().unwrap_or("").trim();
        (value.len() <= MAX_FORWARDED).then_some(value)
    };
    let host: Authority = first("x-forwarded-host")?.parse().ok()?;
    let scheme = match first("x-forwarded-proto") {
        Some("https" | "wss") => "https",
        _ => "http",
    };
    let prefix = first("x-forwarded-prefix").filter(|prefix| prefix.starts_with('/'));
    base_of(&format!("{scheme}://{host}{}", prefix.unwrap_or("")))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
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

/// Whether a URL names a user: whoever writes one means its client to send it, and some clients (Java's) wait to be asked.
pub fn names_user(url: &str) -> bool {
    url::Url::parse(url).is_ok_and(|url| !url.username().is_empty() || url.password().is_some())
}

/// Takes the user and password out of every `se:remoteUrl`: capabilities become an object, and a key is for no reader of objects.
pub fn forget_users(capabilities: &mut Value) {
    let Value::Object(sets) = capabilities else { return };
    let sets = sets.iter_mut().flat_map(|(name, set)| match (name.as_str(), set) {
        ("alwaysMatch", set) => vec![set],
        ("firstMatch", Value::Array(sets)) => sets.iter_mut().collect(),
        _ => Vec::new(),
    });
    for set in sets {
        if let Some(Value::String(remote)) = set.get_mut("se:remoteUrl")
            && names_user(remote)
            && let Ok(mut url) = url::Url::parse(remote)
            && url.set_username("").is_ok()
            && url.set_password(None).is_ok()
        {
            *remote = url.into();
        }
    }
}

/// The bases that clients put before their paths.
const BASES: [&str; 6] =
    ["/webdriver/wd/hub", "/webdriver", "/wd/hub", "/api/v2", "/api/v3", "/api/v4"];

/// The path that a client means whose base URL ends with a slash: it sends `//session` or `/wd/hub//session`.
pub fn without_empty_base(path: &str) -> Cow<'_, str> {
    if !path.contains("//") {
        return path.into();
    }
    let path = format!("/{}", path.trim_start_matches('/'));
    let base = BASES.iter().find_map(|base| Some((base, path.strip_prefix(base)?)));
    match base {
        Some((base, rest)) if rest.starts_with("//") => {
            format!("{base}/{}", rest.trim_start_matches('/')).into()
        }
        _ => path.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderValue, header};
    use serde_json::json;

    const PROXY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 7));

    #[test]
    fn the_configured_url_goes_first_then_the_proxys_then_the_clients_then_host() {
        let headers: HeaderMap = [
            ("host", "gateway:4444"),
            ("x-forwarded-proto", "https, http"),
            ("x-forwarded-host", "browsers.example:8443"),
            ("x-forwarded-prefix", "/grid/"),
        ]
        .into_iter()
        .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
        .collect();
        let bare: HeaderMap =
            HeaderMap::from_iter([(header::HOST, HeaderValue::from_static("gateway:4444"))]);
        let remote = Some("https://user:secret@grid.example/wd/hub/");
        let external = Some("https://ours.example");
        let trusted = "10.0.0.0/8";
        for (external, trusted, headers, remote, expected) in [
            (external, trusted, &headers, remote, "wss://ours.example"),
            (None, trusted, &headers, remote, "wss://browsers.example:8443/grid"),
            (None, "10.0.0.8/32", &headers, remote, "wss://grid.example/wd/hub"),
            (None, trusted, &bare, remote, "wss://grid.example/wd/hub"),
            (None, trusted, &bare, Some("nonsense"), "ws://gateway:4444"),
            (None, trusted, &bare, None, "ws://gateway:4444"),
        ] {
            let configured = UrlSettings {
                external: external.map(ToOwned::to_owned),
                trusted_proxies: vec![trusted.parse().unwrap()],
                ..UrlSettings::default()
            };
            assert_eq!(socket_base(&configured, remote, headers, PROXY), expected);
        }
    }

    #[test]
    fn a_host_that_is_none_is_not_believed() {
        for host in ["", "a b", "a/b?c", "http://a"] {
            let headers = HeaderMap::from_iter([(
                "x-forwarded-host".parse().unwrap(),
                host.parse().unwrap(),
            )]);
            assert_eq!(forwarded(&headers), None, "{host}");
        }
    }

    #[test]
    fn a_base_url_may_end_with_a_slash() {
        for (path, expected) in [
            ("/session", "/session"),
            ("//session", "/session"),
            ("///session/a/url", "/session/a/url"),
            ("/wd/hub//session", "/wd/hub/session"),
            ("//wd/hub//session/a", "/wd/hub/session/a"),
            ("/webdriver//session", "/webdriver/session"),
            ("/webdriver/wd/hub//session", "/webdriver/wd/hub/session"),
            ("/api/v2//sessions", "/api/v2/sessions"),
            ("//v1/sessions", "/v1/sessions"),
            ("//json/version", "/json/version"),
            ("//", "/"),
            // Only the base is the client's own: what is behind it says what it says.
            ("/session//url", "/session//url"),
            ("/wd/hubs//session", "/wd/hubs//session"),
        ] {
            assert_eq!(without_empty_base(path), expected, "{path}");
        }
    }

    #[test]
    fn a_user_in_a_url_is_seen_and_not_kept() {
        for (url, names) in [
            ("http://key@gw:4444/wd/hub", true),
            ("http://any:key@gw:4444", true),
            ("http://gw:4444/@a", false),
            ("nonsense", false),
        ] {
            assert_eq!(names_user(url), names, "{url}");
        }
        let mut asked = json!({
            "alwaysMatch": {"se:remoteUrl": "http://any:key@gw:4444/wd/hub", "a:b": "http://u@h"},
            "firstMatch": [{"se:remoteUrl": "http://gw"}, {"se:remoteUrl": "https://key@gw/"}],
        });
        forget_users(&mut asked);
        assert_eq!(
            asked,
            json!({
                "alwaysMatch": {"se:remoteUrl": "http://gw:4444/wd/hub", "a:b": "http://u@h"},
                "firstMatch": [{"se:remoteUrl": "http://gw"}, {"se:remoteUrl": "https://gw/"}],
            })
        );
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
