//! A proxy that requests are passed on to.

use std::fmt;

use crate::{credentials::Credentials, host::Host};

/// How an upstream is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UpstreamScheme {
    Http,
    /// HTTP over TLS.
    Https,
    /// SOCKS4a: the upstream resolves names.
    Socks4,
    /// Names are resolved here.
    Socks5,
    /// The upstream resolves names.
    Socks5h,
}

impl UpstreamScheme {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "http" => Some(Self::Http),
            "https" => Some(Self::Https),
            "socks5" => Some(Self::Socks5),
            "socks5h" => Some(Self::Socks5h),
            _ => None,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Socks4 => "socks4",
            Self::Socks5 => "socks5",
            Self::Socks5h => "socks5h",
        }
    }

    /// Whether it takes requests of HTTP.
    #[must_use]
    pub fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::Https)
    }

    fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
            Self::Socks4 | Self::Socks5 | Self::Socks5h => 1080,
        }
    }
}

/// Why text names no upstream, in words that follow its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamError {
    #[error("must be a URL with one of the schemes http, https, socks5, socks5h")]
    Scheme,
    #[error("names no host")]
    Host,
    #[error("has a port that is not between 1 and 65535")]
    Port,
    #[error("has more than a host and a port")]
    Rest,
    #[error(
        "has credentials, which a labelled Secret has instead: see spec.proxy's credentialsSecretRef"
    )]
    Credentials,
}

/// A proxy that requests are passed on to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Upstream {
    pub scheme: UpstreamScheme,
    pub host: Host,
    pub port: u16,
    pub credentials: Option<Credentials>,
    /// Whether its certificate may be anybody's.
    pub ignore_certificate_errors: bool,
}

impl Upstream {
    /// Reads a URL.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(url: &str) -> Result<Self, UpstreamError> {
        let (scheme, rest) = url.split_once("://").ok_or(UpstreamError::Scheme)?;
        let scheme = UpstreamScheme::parse(&scheme.to_ascii_lowercase());
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        Self::at(scheme.ok_or(UpstreamError::Scheme)?, rest)
    }

    /// Reads a host with or without a port.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn at(scheme: UpstreamScheme, text: &str) -> Result<Self, UpstreamError> {
        if text.contains('@') {
            return Err(UpstreamError::Credentials);
        }
        if text.contains(['/', '?', '#', '\\']) || text.contains(char::is_control) {
            return Err(UpstreamError::Rest);
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                let is_number = port.bytes().all(|digit| digit.is_ascii_digit());
                match port.parse() {
                    Ok(port) if port > 0 && is_number => (host, port),
                    _ => return Err(UpstreamError::Port),
                }
            }
            _ => (text, scheme.default_port()),
        };
        if host.contains(':') && !host.starts_with('[') {
            return Err(UpstreamError::Host);
        }
        let host = Host::parse(host).ok_or(UpstreamError::Host)?;
        Ok(Self { scheme, host, port, credentials: None, ignore_certificate_errors: false })
    }

    /// Whether the upstream resolves the names of servers.
    #[must_use]
    pub fn resolves_names(&self) -> bool {
        self.scheme != UpstreamScheme::Socks5
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.scheme.as_str(), self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_an_upstream() {
        for (url, expected) in [
            ("http://proxy:3128", Ok("http://proxy:3128")),
            ("HTTP://Proxy.example/", Ok("http://proxy.example:80")),
            ("socks5://127.1", Ok("socks5://127.0.0.1:1080")),
            ("socks5h://[2001:db8::1]:1081", Ok("socks5h://[2001:db8::1]:1081")),
            ("socks5h://[2001:db8::1]", Ok("socks5h://[2001:db8::1]:1080")),
            ("proxy:3128", Err(UpstreamError::Scheme)),
            ("https://proxy", Ok("https://proxy:443")),
            ("socks4://proxy", Err(UpstreamError::Scheme)),
            ("ftp://proxy", Err(UpstreamError::Scheme)),
            ("http://", Err(UpstreamError::Host)),
            ("http://:3128", Err(UpstreamError::Host)),
            ("http://a b", Err(UpstreamError::Host)),
            ("http://2001:db8::1:80", Err(UpstreamError::Host)),
            ("http://proxy:0", Err(UpstreamError::Port)),
            ("http://proxy:+80", Err(UpstreamError::Port)),
            ("http://proxy:65536", Err(UpstreamError::Port)),
            ("http://proxy:", Err(UpstreamError::Port)),
            ("http://proxy/path", Err(UpstreamError::Rest)),
            ("http://proxy?a", Err(UpstreamError::Rest)),
            ("http://pro\r\nxy", Err(UpstreamError::Rest)),
            ("http://user:pass@proxy", Err(UpstreamError::Credentials)),
            ("http://us\r\ner:pass@proxy", Err(UpstreamError::Credentials)),
        ] {
            let read = Upstream::parse(url).map(|upstream| upstream.to_string());
            assert_eq!(read, expected.map(str::to_owned), "{url}");
        }
    }
}
