//! What a client sends to say who it is, and where it sends it from.

use std::net::IpAddr;

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderMap, header};
use net::tcp::network_of;

/// What a client sends to say who it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// A token or an API key; `None` where it sends nothing, empty where nobody can read it.
    pub secret: Option<String>,
    /// Where it comes from, as far as those count who may try: see [`origin_of`].
    pub origin: IpAddr,
}

impl Credential {
    /// That of `Authorization`.
    pub fn of(headers: &HeaderMap, origin: IpAddr) -> Self {
        Self { secret: secret(headers), origin }
    }
}

/// A token or an API key: Bearer, or the password of Basic, which is what a URL's `user:password@` becomes. What cannot be read is
/// an empty credential, which is never valid: whoever sends something does not mean to be anonymous.
fn secret(headers: &HeaderMap) -> Option<String> {
    let sent = headers.get(header::AUTHORIZATION)?.to_str().unwrap_or_default();
    let (scheme, value) = sent.split_once(' ').unwrap_or_default();
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" => Some(value.trim().to_owned()),
        "basic" => {
            let decoded = BASE64_STANDARD.decode(value.trim()).unwrap_or_default();
            let text = String::from_utf8(decoded).unwrap_or_default();
            match text.split_once(':') {
                // A URL with a user alone: that is the key. A wrong one must not make its sender anonymous.
                Some((user, "")) => Some(user.to_owned()).filter(|user| !user.is_empty()),
                Some((_, password)) => Some(password.to_owned()),
                None => Some(String::new()),
            }
        }
        _ => Some(String::new()),
    }
}

/// Where a request comes from: its peer, or what a trusted proxy in between says (`X-Forwarded-For`, whose last entries the trusted
/// proxies wrote). Of an IPv6 address only the network, because whoever has one has them all.
pub fn origin_of(headers: &HeaderMap, peer: IpAddr, trusts: impl Fn(IpAddr) -> bool) -> IpAddr {
    let hops = headers.get_all("x-forwarded-for").into_iter();
    let hops: Vec<&str> =
        hops.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).collect();
    let mut origin = peer.to_canonical();
    for hop in hops.iter().rev() {
        if !trusts(origin) {
            break;
        }
        let Ok(before) = hop.trim().parse::<IpAddr>() else { break };
        origin = before.to_canonical();
    }
    network_of(origin)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_token_is_bearer_or_the_password_of_basic() {
        let of = |value: &'static str| {
            secret(&HeaderMap::from_iter([(
                header::AUTHORIZATION,
                HeaderValue::from_static(value),
            )]))
        };
        assert_eq!(of("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(of("basic dXNlcjphYmM=").as_deref(), Some("abc"));
        assert_eq!(of("Basic dXNlcjo=").as_deref(), Some("user"));
        assert_eq!(of("Basic Og=="), None);
        assert_eq!(of("Basic Ym9rX2E6").as_deref(), Some("bok_a"));
        for unreadable in ["Digest abc", "Bearer", "Basic !", "Basic YWJj", ""] {
            assert_eq!(of(unreadable).as_deref(), Some(""), "{unreadable}");
        }
        assert_eq!(secret(&HeaderMap::new()), None);
    }

    #[test]
    fn a_request_comes_from_its_peer_or_from_where_trusted_proxies_say() {
        let trusted = ["10.0.0.1", "10.0.0.2"].map(|proxy| proxy.parse::<IpAddr>().unwrap());
        for (peer, forwarded, origin) in [
            ("192.0.2.7", None, "192.0.2.7"),
            ("192.0.2.7", Some("198.51.100.1"), "192.0.2.7"),
            ("10.0.0.1", Some("198.51.100.1"), "198.51.100.1"),
            ("::ffff:10.0.0.1", Some("198.51.100.1"), "198.51.100.1"),
            ("10.0.0.1", Some("203.0.113.9, 198.51.100.1, 10.0.0.2"), "198.51.100.1"),
            ("10.0.0.1", Some("nonsense"), "10.0.0.1"),
            ("10.0.0.1", None, "10.0.0.1"),
            ("2001:db8:1:2:3:4:5:6", None, "2001:db8:1:2::"),
        ] {
            let headers = forwarded
                .map(|value| ("x-forwarded-for".parse().unwrap(), HeaderValue::from_static(value)));
            let headers = HeaderMap::from_iter(headers);
            let found =
                origin_of(&headers, peer.parse().unwrap(), |address| trusted.contains(&address));
            assert_eq!(found, origin.parse::<IpAddr>().unwrap(), "{peer} {forwarded:?}");
        }
    }
}
