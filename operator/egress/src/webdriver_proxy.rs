//! WebDriver's `proxy` capability, as rules.

use serde_json::{Map, Value};

use crate::{
    no_proxy::NoProxy,
    pattern::{DomainPattern, PatternError},
    routes::{MAX_RULES, Matcher, Route, Routes, Rule},
    upstream::{Upstream, UpstreamError, UpstreamScheme},
};

/// Why a proxy capability is not taken, in words that follow `proxy`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CapabilityError {
    #[error(".proxyType {0} is not available in this version; there are: manual, direct, system")]
    Type(String),
    #[error(".{0} {1}")]
    Upstream(&'static str, UpstreamError),
    #[error(".socksVersion {0} is not available; there are: 4, 5")]
    SocksVersion(String),
    #[error(".noProxy[{0}] {1}")]
    NoProxy(usize, PatternError),
    #[error(".noProxy has more than {MAX_RULES} entries")]
    TooMany,
}

/// The rules that a `proxy` capability means. `system` means none: the browser's container has no proxy of its own.
///
/// # Errors
/// Why it is not taken.
pub fn of_capability(proxy: &Map<String, Value>) -> Result<Routes, CapabilityError> {
    let text = |name: &str| proxy.get(name).and_then(Value::as_str);
    match text("proxyType").unwrap_or_default() {
        "manual" => {}
        "direct" | "system" => return Ok(Routes::default()),
        other => return Err(CapabilityError::Type(other.to_owned())),
    }
    let upstream = |name: &'static str, scheme| {
        text(name)
            .map(|at| {
                Upstream::at(scheme, at).map_err(|error| CapabilityError::Upstream(name, error))
            })
            .transpose()
    };
    let mut rules = Vec::new();
    let entries = no_proxy(proxy)?;
    if !entries.is_empty() {
        let (name, route) = ("proxy.noProxy".to_owned(), Route::Direct { resolve: None });
        rules.push(Rule { name, matcher: Matcher::NoProxy(entries), route });
    }
    for (name, pattern, scheme) in [
        ("httpProxy", "http://*", Some(UpstreamScheme::Http)),
        ("sslProxy", "https://*", Some(UpstreamScheme::Http)),
        // What has no proxy of its own goes through this one.
        ("socksProxy", "*", socks(proxy)?),
    ] {
        if let Some(scheme) = scheme
            && let Some(upstream) = upstream(name, scheme)?
        {
            let matcher = DomainPattern::parse(pattern).map_or(Matcher::Every, Matcher::Pattern);
            let route = Route::External(upstream);
            rules.push(Rule { name: format!("proxy.{name}"), matcher, route });
        }
    }
    Ok(Routes::of_rules(rules))
}

fn no_proxy(proxy: &Map<String, Value>) -> Result<Vec<NoProxy>, CapabilityError> {
    let list = proxy.get("noProxy").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if list.len() > MAX_RULES {
        return Err(CapabilityError::TooMany);
    }
    let entries = list.iter().enumerate().map(|(index, entry)| {
        NoProxy::parse(entry.as_str().unwrap_or_default())
            .map_err(|error| CapabilityError::NoProxy(index, error))
    });
    entries.collect()
}

/// `None`: no SOCKS.
fn socks(proxy: &Map<String, Value>) -> Result<Option<UpstreamScheme>, CapabilityError> {
    if !proxy.contains_key("socksProxy") {
        return Ok(None);
    }
    let version = proxy.get("socksVersion").cloned().unwrap_or_default();
    match version.as_f64() {
        Some(4.0) => Ok(Some(UpstreamScheme::Socks4)),
        // As browsers have it, and so that names are not told to this network.
        Some(5.0) => Ok(Some(UpstreamScheme::Socks5h)),
        _ => Err(CapabilityError::SocksVersion(version.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{Host, Scheme, Target};
    use serde_json::json;

    fn routes(proxy: &Value) -> Result<Routes, CapabilityError> {
        of_capability(proxy.as_object().unwrap())
    }

    fn chosen(routes: &Routes, url: &str) -> String {
        let url = url::Url::parse(url).unwrap();
        let target = Target {
            scheme: Scheme::parse(url.scheme()).unwrap(),
            host: Host::parse(url.host_str().unwrap()).unwrap(),
            port: url.port_or_known_default().unwrap(),
        };
        match routes.choose(&target).route {
            Route::External(upstream) => upstream.to_string(),
            _ => "direct".to_owned(),
        }
    }

    #[test]
    fn a_manual_proxy_is_for_its_scheme_and_socks_for_the_rest() {
        let both = json!({"proxyType": "manual", "httpProxy": "h:3128", "sslProxy": "s", "noProxy": ["a.example"]});
        let socks = json!({"proxyType": "manual", "httpProxy": "h", "socksProxy": "k", "socksVersion": 5.0});
        for (proxy, url, expected) in [
            (&both, "http://b.example", "http://h:3128"),
            (&both, "https://b.example", "http://s:80"),
            (&both, "https://www.a.example", "direct"),
            (&socks, "http://b.example", "http://h:80"),
            (&socks, "wss://b.example", "socks5h://k:1080"),
            (
                &json!({"proxyType": "manual", "socksProxy": "k:9", "socksVersion": 4}),
                "ws://b.example",
                "socks4://k:9",
            ),
            (&json!({"proxyType": "manual", "httpProxy": "h"}), "https://b.example", "direct"),
            (&json!({"proxyType": "manual"}), "https://b.example", "direct"),
            (&json!({"proxyType": "direct"}), "https://b.example", "direct"),
            (&json!({"proxyType": "system", "httpProxy": "h"}), "http://b.example", "direct"),
        ] {
            assert_eq!(chosen(&routes(proxy).unwrap(), url), expected, "{proxy} {url}");
        }
    }

    #[test]
    fn what_is_not_taken_is_named() {
        for (proxy, words) in [
            (json!({"proxyType": "pac", "proxyAutoconfigUrl": "http://a/"}), ".proxyType pac"),
            (json!({"proxyType": "autodetect"}), ".proxyType autodetect"),
            (json!({"proxyType": "manual", "httpProxy": "h:0"}), ".httpProxy has a port"),
            (json!({"proxyType": "manual", "sslProxy": "u:p@h"}), ".sslProxy has credentials"),
            (
                json!({"proxyType": "manual", "socksProxy": "h", "socksVersion": 3}),
                ".socksVersion 3",
            ),
            (json!({"proxyType": "manual", "noProxy": ["a", "b c"]}), ".noProxy[1] names no host"),
            (json!({"proxyType": "manual", "noProxy": vec!["a"; 129]}), ".noProxy has more"),
        ] {
            let error = routes(&proxy).unwrap_err().to_string();
            assert!(error.starts_with(words), "{proxy}: {error}");
        }
    }
}
