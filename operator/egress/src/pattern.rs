//! Which hosts a rule is for.
//!
//! A pattern is `[SCHEME://]HOST[:PORT]`. The scheme is http or https (ws and wss mean the same). HOST is one of:
//! - `*`: every host;
//! - `example.com`: this name and no other; `*.example.com`: every name below it, not the name itself;
//! - `192.0.2.1`, `[2001:db8::1]`: an address that the request itself names; `192.0.2.0/24`, `[2001:db8::]/32`: those of a network;
//! - anything else: a regular expression that must match the whole host, whatever the case, such as `.*\.gov`.

use ipnet::IpNet;
use regex::bytes::{Regex, RegexBuilder};

use crate::host::{Host, Scheme, Target};

/// The longest pattern, in bytes.
const MAX_PATTERN: usize = 1024;
/// What a regular expression may take when it is compiled, and again while it runs, in bytes.
const MAX_COMPILED: usize = 256 << 10;
/// How deep a regular expression may be nested.
const MAX_NESTING: u32 = 32;
/// What no name, address or network has in it.
const OF_EXPRESSIONS: [char; 12] = ['\\', '^', '$', '(', ')', '[', ']', '{', '}', '|', '+', '?'];

/// Why a pattern can match nothing, or is too much.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    #[error("must have between 1 and {MAX_PATTERN} bytes")]
    Length,
    #[error("has the scheme {0:?}; there are: http, https, ws, wss")]
    Scheme(String),
    #[error("has a port that is not between 1 and 65535")]
    Port,
    #[error("has a path; it names hosts: [SCHEME://]HOST[:PORT]")]
    Path,
    #[error(
        "names no host: it may be a name, *. and a name, an address, a network or a regular expression"
    )]
    Host,
    #[error(
        "is not a regular expression that can be used (a * stands alone, or before a dot and a name): {0}"
    )]
    Expression(String),
}

#[derive(Clone, Debug)]
enum HostPattern {
    Any,
    Exact(Host),
    /// With its dot before it.
    Below(String),
    Network(IpNet),
    Expression(Regex),
}

/// See the module.
#[derive(Clone, Debug)]
pub struct DomainPattern {
    scheme: Option<Scheme>,
    host: HostPattern,
    port: Option<u16>,
}

impl DomainPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong with it, in words that follow its name.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text.is_empty() || text.len() > MAX_PATTERN {
            return Err(PatternError::Length);
        }
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => {
                let known = Scheme::parse(scheme);
                (Some(known.ok_or_else(|| PatternError::Scheme(scheme.to_owned()))?), rest)
            }
            None => (None, text),
        };
        if let Some(network) = network(rest) {
            return Ok(Self { scheme, host: HostPattern::Network(network), port: None });
        }
        if rest.contains('/') {
            return Err(PatternError::Path);
        }
        // An address of IPv6 has colons of its own.
        if let Ok(ip) = rest.parse() {
            return Ok(Self { scheme, host: HostPattern::Exact(Host::Ip(ip)), port: None });
        }
        let (host, port) = split_port(rest)?;
        Ok(Self { scheme, host: host_pattern(host)?, port })
    }

    /// The addresses that it names, if it names addresses.
    #[must_use]
    pub fn network(&self) -> Option<IpNet> {
        match self.host {
            HostPattern::Exact(Host::Ip(ip)) => Some(ip.into()),
            HostPattern::Network(network) => Some(network),
            HostPattern::Any
            | HostPattern::Exact(Host::Name(_))
            | HostPattern::Below(_)
            | HostPattern::Expression(_) => None,
        }
    }

    #[must_use]
    pub fn matches(&self, target: &Target) -> bool {
        let Self { scheme, host, port } = self;
        if scheme.is_some_and(|scheme| scheme != target.scheme)
            || port.is_some_and(|port| port != target.port)
        {
            return false;
        }
        match (host, &target.host) {
            (HostPattern::Any, _) => true,
            (HostPattern::Exact(host), asked) => host == asked,
            (HostPattern::Below(suffix), Host::Name(name)) => {
                name.len() > suffix.len() && name.ends_with(suffix.as_str())
            }
            (HostPattern::Network(network), Host::Ip(ip)) => network.contains(ip),
            (HostPattern::Expression(expression), Host::Name(name)) => {
                expression.is_match(name.as_bytes())
            }
            (HostPattern::Expression(expression), Host::Ip(ip)) => {
                expression.is_match(ip.to_string().as_bytes())
            }
            (HostPattern::Below(_), Host::Ip(_)) | (HostPattern::Network(_), Host::Name(_)) => {
                false
            }
        }
    }
}

fn network(text: &str) -> Option<IpNet> {
    let (address, length) = text.split_once('/')?;
    let address =
        address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
    IpNet::new(address.parse().ok()?, length.parse().ok()?).ok().map(|network| network.trunc())
}

/// A number behind the last colon is a port, in a regular expression too.
fn split_port(text: &str) -> Result<(&str, Option<u16>), PatternError> {
    match text.rsplit_once(':') {
        Some((host, digits)) if digits.bytes().all(|digit| digit.is_ascii_digit()) => {
            match digits.parse() {
                Ok(port) if port > 0 => Ok((host, Some(port))),
                _ => Err(PatternError::Port),
            }
        }
        _ => Ok((text, None)),
    }
}

fn host_pattern(text: &str) -> Result<HostPattern, PatternError> {
    if text == "*" {
        return Ok(HostPattern::Any);
    }
    if let Some(ip) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')?.parse().ok()) {
        return Ok(HostPattern::Exact(Host::Ip(ip)));
    }
    if let Some(above) = text.strip_prefix("*.")
        && !above.contains('*')
        && !above.contains(OF_EXPRESSIONS)
    {
        return match Host::parse(above) {
            Some(Host::Name(name)) => Ok(HostPattern::Below(format!(".{name}"))),
            _ => Err(PatternError::Host),
        };
    }
    if !text.contains('*') && !text.contains(OF_EXPRESSIONS) {
        return Host::parse(text).map(HostPattern::Exact).ok_or(PatternError::Host);
    }
    expression(text).map(HostPattern::Expression)
}

fn expression(text: &str) -> Result<Regex, PatternError> {
    let compile = |text: &str| {
        RegexBuilder::new(text)
            .case_insensitive(true)
            // Hosts are ASCII, and the classes of Unicode are large.
            .unicode(false)
            .size_limit(MAX_COMPILED)
            .dfa_size_limit(MAX_COMPILED)
            .nest_limit(MAX_NESTING)
            .build()
            .map_err(|error| PatternError::Expression(one_line(&error.to_string())))
    };
    // Alone first: what closes a group that it has not opened would take the anchors apart.
    compile(text)?;
    compile(&format!("^(?:{text})$"))
}

/// The last line of the message is the reason; those above draw the expression.
fn one_line(message: &str) -> String {
    let last = message.lines().last().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn target(url: &str) -> Target {
        let url = url::Url::parse(url).unwrap();
        Target {
            scheme: Scheme::parse(url.scheme()).unwrap(),
            host: Host::parse(url.host_str().unwrap()).unwrap(),
            port: url.port_or_known_default().unwrap(),
        }
    }

    #[test]
    fn a_pattern_is_for_the_hosts_that_it_names() {
        for (pattern, url, expected) in [
            ("*", "http://a.example", true),
            ("*:8080", "http://a.example", false),
            ("*:8080", "http://a.example:8080", true),
            ("https://*", "http://a.example", false),
            ("wss://*", "https://a.example", true),
            ("Example.com", "http://EXAMPLE.com.", true),
            ("example.com", "http://www.example.com", false),
            ("example.com", "http://example.com.evil.example", false),
            ("*.example.com", "http://www.example.com", true),
            ("*.example.com", "http://a.b.example.com", true),
            ("*.example.com", "http://example.com", false),
            ("*.example.com", "http://notexample.com", false),
            ("*.bücher.example", "http://a.xn--bcher-kva.example", true),
            ("http://example.com:80", "http://example.com", true),
            ("http://example.com:80", "https://example.com", false),
            ("192.0.2.1", "http://192.0.2.1", true),
            ("192.0.2.1", "http://0xC0000201", true),
            ("192.0.2.1:81", "http://192.0.2.1:81", true),
            ("192.0.2.0/24", "http://192.0.2.9", true),
            ("192.0.2.0/24", "http://192.0.3.9", false),
            ("192.0.2.0/24", "http://a.example", false),
            ("2001:db8::1", "http://[2001:db8::1]", true),
            ("[2001:db8::1]:81", "http://[2001:db8::1]:81", true),
            ("[2001:db8::1]:81", "http://[2001:db8::1]", false),
            ("[2001:db8::]/32", "http://[2001:db8::9]", true),
            (r".*\.gov", "http://www.nasa.gov", true),
            (r".*\.gov", "http://gov", false),
            (r".*\.gov", "http://www.nasa.gov.evil.example", false),
            (r"(www\.)?a\.example", "http://A.example", true),
            (r"a\.example|b\.example", "http://xb.example", false),
            (r"a\.example|b\.example:81", "http://b.example:81", true),
            (r"192\.0\.2\.\d+", "http://192.0.2.77", true),
        ] {
            let parsed = DomainPattern::parse(pattern).unwrap();
            assert_eq!(parsed.matches(&target(url)), expected, "{pattern} {url}");
        }
    }

    #[test]
    fn what_can_match_nothing_is_refused() {
        for (pattern, words) in [
            ("", "between 1 and 1024"),
            (&"a".repeat(1025), "between 1 and 1024"),
            ("ftp://a.example", "scheme \"ftp\""),
            ("a.example:0", "port"),
            ("a.example:65536", "port"),
            ("a.example:", "port"),
            ("a.example/path", "path"),
            ("https://a.example/", "path"),
            ("a b", "names no host"),
            ("a..b", "names no host"),
            ("*.", "names no host"),
            ("*.1.2.3.4", "names no host"),
            ("*example.com", "regular expression"),
            ("(a", "regular expression"),
            ("a)|(b", "regular expression"),
            ("[::1", "regular expression"),
            (r"a{1000}{1000}", "regular expression"),
            (&"(".repeat(200), "regular expression"),
            (r"\p{Greek}", "regular expression"),
        ] {
            let error = DomainPattern::parse(pattern).unwrap_err().to_string();
            assert!(error.contains(words), "{pattern}: {error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_much(text in "\\PC{0,64}", host in "[a-z.]{1,40}") {
            if let (Ok(pattern), Some(host)) = (DomainPattern::parse(&text), Host::parse(&host)) {
                prop_assert_eq!(pattern.matches(&Target { scheme: Scheme::Http, host: host.clone(), port: 80 }), pattern.matches(&Target { scheme: Scheme::Http, host, port: 80 }));
            }
        }

        #[test]
        fn a_name_matches_itself_and_no_other(name in "[a-z]{1,8}(\\.[a-z]{1,8}){1,3}", other in "[a-z]{1,8}(\\.[a-z]{1,8}){1,3}") {
            let pattern = DomainPattern::parse(&name).unwrap();
            let matches = |host: &str| {
                pattern.matches(&Target { scheme: Scheme::Https, host: Host::parse(host).unwrap(), port: 443 })
            };
            prop_assert!(matches(&name));
            prop_assert_eq!(matches(&other), name == other);
        }
    }
}
