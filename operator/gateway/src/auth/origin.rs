//! Finds the requests of web pages: by their Origin, and by a Host that is not this gateway's (DNS rebinding).

use std::net::IpAddr;

use http::{HeaderMap, HeaderValue, header, uri::Authority};

use crate::urls::UrlSettings;

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

/// The Origin of a request from a web page that `allowed` names.
pub fn allowed_origin(headers: &HeaderMap, allowed: &[String]) -> Option<HeaderValue> {
    let origin = headers.get(header::ORIGIN)?;
    allowed.iter().any(|allowed| *origin == **allowed).then(|| origin.clone())
}

/// The Host of a request that is not this gateway's: DNS rebinding gives a web page this gateway's address under the page's own
/// name, and then its reads carry no Origin. A proxy that is trusted may pass on any Host.
pub fn rebound_host(headers: &HeaderMap, peer: IpAddr, urls: &UrlSettings) -> Option<String> {
    if urls.trusts(peer) {
        return None;
    }
    let host = headers.get(header::HOST)?;
    let own = host.to_str().is_ok_and(|host| is_own_host(host, urls));
    (!own).then(|| String::from_utf8_lossy(host.as_bytes()).into_owned())
}

/// Whether a request's Host is a name that only this gateway's own network has, or a configured one: an address, a name
/// without a dot, a Service's name in this cluster, the external URL's host, or one of the allowed hosts.
fn is_own_host(host: &str, urls: &UrlSettings) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host().trim_end_matches('.').to_ascii_lowercase();
    let is_address = name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    let is_service = match name.rsplit_once(".svc") {
        Some((_, "")) => true,
        Some((_, rest)) => {
            let domain = urls.cluster_domain.trim_matches('.');
            !domain.is_empty()
                && rest.strip_prefix('.').is_some_and(|rest| rest.eq_ignore_ascii_case(domain))
        }
        None => false,
    };
    let is_external = urls
        .external
        .as_deref()
        .and_then(|url| url.parse::<http::Uri>().ok())
        .is_some_and(|url| url.host().is_some_and(|host| host.eq_ignore_ascii_case(&name)));
    is_address
        || is_service
        || is_external
        || !name.is_empty() && !name.contains('.')
        || name.ends_with(".localhost")
        || urls.allowed_hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(origin: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::ORIGIN, HeaderValue::from_static(origin))])
    }

    #[test]
    fn a_web_page_is_refused_unless_its_origin_is_allowed() {
        let allowed = ["https://tools.example".to_owned()];
        assert_eq!(forbidden_origin(&HeaderMap::new(), &allowed), None);
        assert_eq!(forbidden_origin(&from("https://tools.example"), &allowed), None);
        assert!(forbidden_origin(&from("https://evil.example"), &allowed).is_some());
        assert!(forbidden_origin(&from("null"), &[]).is_some());
    }

    #[test]
    fn only_an_allowed_origin_is_ever_echoed() {
        let allowed = ["https://tools.example".to_owned()];
        for (headers, expected) in [
            (from("https://tools.example"), true),
            (from("https://tools.example.evil.example"), false),
            (from("HTTPS://tools.example"), false),
            (from("null"), false),
            (from("*"), false),
            (HeaderMap::new(), false),
        ] {
            assert_eq!(allowed_origin(&headers, &allowed).is_some(), expected, "{headers:?}");
        }
    }

    #[test]
    fn a_name_of_the_world_is_not_this_gateways() {
        let urls = UrlSettings {
            external: Some("https://browsers.example:8443".to_owned()),
            cluster_domain: "cluster.local".to_owned(),
            allowed_hosts: vec!["grid-gateway.tools".to_owned(), "Grid.example".to_owned()],
            ..UrlSettings::default()
        };
        for (host, own) in [
            ("10.0.0.1:4444", true),
            ("[::1]:4444", true),
            ("localhost", true),
            ("a.localhost:4444", true),
            ("gateway:4444", true),
            ("gateway.ns.svc", true),
            ("gateway.ns.svc.cluster.local", true),
            ("gateway.ns.svc.cluster.local.:4444", true),
            ("GATEWAY.ns.SVC.Cluster.Local", true),
            ("grid-gateway.tools:4444", true),
            ("grid.example", true),
            ("browsers.example", true),
            ("browser-operator-gateway.browser-operator:4444", false),
            ("x.svc.evil.example", false),
            ("x.svc.cluster.local.evil.example", false),
            ("x.svccluster.local", false),
            ("x.notsvc.cluster.local", false),
            ("cluster.local", false),
            ("other.tools", false),
            ("1.2.3.4.evil.example", false),
            ("evil.example:4444", false),
            ("a b", false),
            (".", false),
            ("", false),
        ] {
            assert_eq!(is_own_host(host, &urls), own, "{host}");
        }
    }

    #[test]
    fn every_request_has_its_host_checked_but_a_trusted_proxys() {
        let urls = UrlSettings {
            trusted_proxies: vec!["192.0.2.7/32".parse().unwrap()],
            ..UrlSettings::default()
        };
        let (proxy, other) = (IpAddr::from([192, 0, 2, 7]), IpAddr::from([192, 0, 2, 8]));
        let host = |bytes: &[u8]| {
            HeaderMap::from_iter([(header::HOST, HeaderValue::from_bytes(bytes).unwrap())])
        };
        assert_eq!(rebound_host(&host(b"evil.example"), proxy, &urls), None);
        assert!(rebound_host(&host(b"evil.example"), other, &urls).is_some());
        assert!(rebound_host(&host(b"evil\xff"), other, &urls).is_some());
        // What is no browser may leave it out.
        assert_eq!(rebound_host(&HeaderMap::new(), other, &urls), None);
    }
}
