//! Finds the requests of web pages: by their Origin, and by a Host that is not this gateway's (DNS rebinding).

use std::net::IpAddr;

use http::{HeaderMap, Method, header, uri::Authority};

use crate::urls::UrlSettings;

/// The namespace that the chart's documentation installs into.
const OWN_NAMESPACE: &str = "browser-operator";

/// The origin of a request from a web page that `allowed` does not name. Client libraries send none; browsers always do, and
/// a page must not drive sessions because its reader can reach this gateway.
pub fn forbidden_origin(headers: &HeaderMap, allowed: &[String]) -> Option<String> {
    let Some(origin) = headers.get(header::ORIGIN) else {
        // A browser's reads carry no Origin, but Fetch Metadata says whether a page sent them.
        let site = headers.get("sec-fetch-site")?;
        return (site != "none" && site != "same-origin").then(|| {
            format!("none, Sec-Fetch-Site: {}", String::from_utf8_lossy(site.as_bytes()))
        });
    };
    let origin = String::from_utf8_lossy(origin.as_bytes()).into_owned();
    (!allowed.contains(&origin)).then_some(origin)
}

/// The Host of a read that is not this gateway's: DNS rebinding gives a web page this gateway's address under the page's own
/// name, and then its reads carry no Origin. A proxy that is trusted may pass on any Host.
pub fn rebound_host<'a>(
    method: &Method,
    headers: &'a HeaderMap,
    peer: IpAddr,
    urls: &UrlSettings,
) -> Option<&'a str> {
    if !matches!(*method, Method::GET | Method::HEAD) || urls.trusts(peer) {
        return None;
    }
    let host = headers.get(header::HOST)?.to_str().ok()?;
    (!is_own_host(host, urls.external.as_deref())).then_some(host)
}

/// Whether a request's Host is a name that only this gateway's own network has, or the configured one: an address, a name
/// without a dot, a Service's name, or the external URL's host.
fn is_own_host(host: &str, external: Option<&str>) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host().trim_end_matches('.').to_ascii_lowercase();
    let is_address = name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    let is_service = name.ends_with(".svc") || name.contains(".svc.");
    let is_external = external
        .and_then(|url| url.parse::<http::Uri>().ok())
        .is_some_and(|url| url.host().is_some_and(|host| host.eq_ignore_ascii_case(&name)));
    // `browser-operator-gateway.browser-operator` is a Service's name too, and of no domain of the world.
    let labels = name.split('.').count();
    is_address
        || is_service
        || is_external
        || labels == 1
        || name.ends_with(".localhost")
        || labels == 2 && name.ends_with(&format!(".{OWN_NAMESPACE}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_web_page_is_refused_unless_its_origin_is_allowed() {
        let from =
            |origin| HeaderMap::from_iter([(header::ORIGIN, HeaderValue::from_static(origin))]);
        let allowed = ["https://tools.example".to_owned()];
        assert_eq!(forbidden_origin(&HeaderMap::new(), &allowed), None);
        assert_eq!(forbidden_origin(&from("https://tools.example"), &allowed), None);
        assert!(forbidden_origin(&from("https://evil.example"), &allowed).is_some());
        assert!(forbidden_origin(&from("null"), &[]).is_some());
    }

    #[test]
    fn a_name_of_the_world_is_not_this_gateways() {
        let external = Some("https://browsers.example:8443");
        for (host, own) in [
            ("10.0.0.1:4444", true),
            ("[::1]:4444", true),
            ("localhost", true),
            ("gateway:4444", true),
            ("browser-operator-gateway.browser-operator:4444", true),
            ("gateway.ns.svc.cluster.local", true),
            ("browsers.example", true),
            ("evil.example:4444", false),
            ("a b", false),
        ] {
            assert_eq!(is_own_host(host, external), own, "{host}");
        }
    }
}
