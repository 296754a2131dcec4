//! An entry of WebDriver's `noProxy`: who is reached without the proxy. The specification says "a list of strings"; browsers and
//! tools differ in what one means, and this is what most of them do:
//! - `example.com`: this name and every name below it; `.example.com` and `*.example.com`: every name below it;
//! - an address, or a network such as `192.0.2.0/24`; `*`: everybody; `<local>`: names without a dot;
//! - each of them with `:PORT` behind it, for this port alone (not a network).

use crate::{
    host::{Host, Target},
    pattern::{DomainPattern, PatternError},
};

#[derive(Clone, Debug)]
enum Entry {
    Local,
    /// One of the patterns must match.
    Patterns(Vec<DomainPattern>),
}

/// See the module.
#[derive(Clone, Debug)]
pub struct NoProxy(Entry);

impl NoProxy {
    /// Reads an entry.
    ///
    /// # Errors
    /// What is wrong with it, in words that follow its name.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let text = text.trim();
        if text == "<local>" {
            return Ok(Self(Entry::Local));
        }
        // No entry is a regular expression.
        if text.contains(['\\', '^', '$', '(', ')', '{', '}', '|', '+', '?', '<', '>']) {
            return Err(PatternError::Host);
        }
        if let Some(below) = text.strip_prefix('.') {
            return Ok(Self(Entry::Patterns(vec![DomainPattern::parse(&format!("*.{below}"))?])));
        }
        let exact = DomainPattern::parse(text)?;
        let host = text.rsplit_once(':').map_or(text, |(host, _)| host);
        let is_name = !host.contains('*') && matches!(Host::parse(host), Some(Host::Name(_)));
        let below = is_name.then(|| DomainPattern::parse(&format!("*.{text}"))).transpose()?;
        Ok(Self(Entry::Patterns([Some(exact), below].into_iter().flatten().collect())))
    }

    #[must_use]
    pub fn matches(&self, target: &Target) -> bool {
        match &self.0 {
            Entry::Local => matches!(&target.host, Host::Name(name) if !name.contains('.')),
            Entry::Patterns(patterns) => patterns.iter().any(|pattern| pattern.matches(target)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Scheme;

    #[test]
    fn an_entry_is_for_what_it_names() {
        for (entry, host, port, expected) in [
            ("example.com", "example.com", 80, true),
            (" example.com ", "www.example.com", 443, true),
            ("example.com", "notexample.com", 80, false),
            ("example.com:81", "www.example.com", 81, true),
            ("example.com:81", "example.com", 80, false),
            (".example.com", "www.example.com", 80, true),
            (".example.com", "example.com", 80, false),
            ("*.example.com", "example.com", 80, false),
            ("192.0.2.1", "192.0.2.1", 80, true),
            ("192.0.2.0/24", "192.0.2.7", 80, true),
            ("2001:db8::1", "2001:db8::1", 80, true),
            ("[2001:db8::1]:81", "2001:db8::1", 80, false),
            ("*", "192.0.2.7", 80, true),
            ("<local>", "site", 80, true),
            ("<local>", "site.example", 80, false),
            ("site", "site", 80, true),
        ] {
            let target = Target { scheme: Scheme::Http, host: Host::parse(host).unwrap(), port };
            assert_eq!(NoProxy::parse(entry).unwrap().matches(&target), expected, "{entry} {host}");
        }
    }

    #[test]
    fn an_entry_that_names_nobody_is_refused() {
        for entry in ["", "a b", "<x>", "http://a/b", "a:0", r"a\.b", "192.0.2.0/33", "(a"] {
            assert!(NoProxy::parse(entry).is_err(), "{entry}");
        }
    }
}
