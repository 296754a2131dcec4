//! What a request wants to reach.

use std::{fmt, net::IpAddr};

/// The longest name of DNS (RFC 1035, section 2.3.4).
const MAX_NAME: usize = 253;

/// A host, in one spelling.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// In lower case, in ASCII, without the dot at its end.
    Name(String),
    Ip(IpAddr),
}

impl Host {
    /// Reads a host as browsers do (the URL Standard's "host parser"): `0x7f.1` and `2130706433` are addresses too. An IPv6 address
    /// may stand in brackets or not.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        if let Ok(ip) = bare.parse() {
            return Some(Self::Ip(ip));
        }
        match url::Host::parse(text).ok()? {
            url::Host::Ipv4(ip) => Some(Self::Ip(ip.into())),
            url::Host::Ipv6(ip) => Some(Self::Ip(ip.into())),
            url::Host::Domain(name) => {
                let name = name.strip_suffix('.').unwrap_or(&name);
                let is_name =
                    name.len() <= MAX_NAME && name.split('.').all(|label| !label.is_empty());
                is_name.then(|| Self::Name(name.to_owned()))
            }
        }
    }

    /// Whether it is this machine by its name (RFC 6761, section 6.3).
    #[must_use]
    pub fn is_localhost(&self) -> bool {
        match self {
            Self::Name(name) => name == "localhost" || name.ends_with(".localhost"),
            Self::Ip(_) => false,
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Ip(IpAddr::V4(ip)) => ip.fmt(f),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

/// How a request speaks to its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `http` and `ws`.
    Http,
    /// `https` and `wss`, and whatever else asks for a tunnel.
    Https,
}

impl Scheme {
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "http" | "ws" => Some(Self::Http),
            "https" | "wss" => Some(Self::Https),
            _ => None,
        }
    }
}

/// What a request wants to reach.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    pub scheme: Scheme,
    pub host: Host,
    pub port: u16,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_however_it_is_spelled() {
        for text in [
            "127.0.0.1",
            "0x7f.1",
            "2130706433",
            "127.1",
            "0177.0.0.1",
            "127.0.0.1.",
            "%31%32%37.1",
            "１２７.1",
        ] {
            assert_eq!(Host::parse(text), Some(Host::Ip([127, 0, 0, 1].into())), "{text}");
        }
        for text in ["[::ffff:127.0.0.1]", "::ffff:7f00:1"] {
            assert!(matches!(Host::parse(text), Some(Host::Ip(IpAddr::V6(_)))), "{text}");
        }
    }

    #[test]
    fn a_name_has_one_spelling() {
        for (text, expected) in [
            ("Example.COM.", Some("example.com")),
            ("bücher.example", Some("xn--bcher-kva.example")),
            ("a_b.example", Some("a_b.example")),
            ("", None),
            (".", None),
            ("a..b", None),
            ("a b", None),
            ("a/b", None),
            ("a:1", None),
            ("fe80::1%eth0", None),
            ("1.2.3.4.5", None),
            (&"a.".repeat(127), Some(&"a.".repeat(127)[..253])),
            (&"a.".repeat(128), None),
        ] {
            let expected = expected.map(|name| Host::Name(name.to_owned()));
            assert_eq!(Host::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn localhost_is_this_machine_below_and_above() {
        for (name, is) in [
            ("LOCALHOST", true),
            ("a.localhost.", true),
            ("localhost.example", false),
            ("notlocalhost", false),
        ] {
            assert_eq!(Host::parse(name).unwrap().is_localhost(), is, "{name}");
        }
    }
}
