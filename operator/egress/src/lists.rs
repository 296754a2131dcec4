//! Which hosts and networks a class and a session let pages reach.

use std::net::IpAddr;

use crds::ClassEgress;
use ipnet::IpNet;

use crate::{
    denial::Denial,
    host::{Host, Target},
    networks::contains,
    pattern::{DomainPattern, PatternError},
};

/// What is wrong with an entry of a list, in words that follow its owner.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}[{index}] {problem}")]
pub struct ListError {
    pub field: &'static str,
    pub index: usize,
    pub problem: ListProblem,
}

/// See [`ListError`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListProblem {
    #[error(transparent)]
    Pattern(#[from] PatternError),
    #[error("is no network in CIDR notation, such as 192.0.2.0/24")]
    Network,
}

fn patterns(field: &'static str, texts: &[String]) -> Result<Vec<DomainPattern>, ListError> {
    let read = |(index, text): (usize, &String)| {
        DomainPattern::parse(text).map_err(|error| ListError {
            field,
            index,
            problem: error.into(),
        })
    };
    texts.iter().enumerate().map(read).collect()
}

fn networks(field: &'static str, texts: &[String]) -> Result<Vec<IpNet>, ListError> {
    let read = |(index, text): (usize, &String)| match text.parse::<IpNet>() {
        Ok(network) => Ok(network.trunc()),
        Err(_) => Err(ListError { field, index, problem: ListProblem::Network }),
    };
    texts.iter().enumerate().map(read).collect()
}

/// Whether one of the networks has the address itself. What an address of IPv6 stands for by some gateway opens nothing.
fn has(networks: &[IpNet], ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    networks.iter().any(|network| network.contains(&ip))
}

fn any(patterns: &[DomainPattern], target: &Target) -> bool {
    patterns.iter().any(|pattern| pattern.matches(target))
}

/// A class's.
#[derive(Clone, Debug, Default)]
pub struct ClassLists {
    allowed_domains: Vec<DomainPattern>,
    denied_domains: Vec<DomainPattern>,
    allowed_networks: Vec<IpNet>,
    denied_networks: Vec<IpNet>,
    private_networks: Vec<IpNet>,
}

impl ClassLists {
    /// # Errors
    /// An entry means nothing.
    pub fn parse(spec: &ClassEgress) -> Result<Self, ListError> {
        let ClassEgress {
            allowed_domains,
            denied_domains,
            allowed_networks,
            denied_networks,
            private_networks,
        } = spec;
        Ok(Self {
            allowed_domains: patterns("egress.allowedDomains", allowed_domains)?,
            denied_domains: patterns("egress.deniedDomains", denied_domains)?,
            allowed_networks: networks("egress.allowedNetworks", allowed_networks)?,
            denied_networks: networks("egress.deniedNetworks", denied_networks)?,
            private_networks: networks("egress.privateNetworks", private_networks)?,
        })
    }

    pub(crate) fn check_target(&self, target: &Target) -> Result<(), Denial> {
        if any(&self.denied_domains, target) {
            return Err(Denial::DeniedDomain(target.clone()));
        }
        if !self.allowed_domains.is_empty() && !any(&self.allowed_domains, target) {
            return Err(Denial::NoAllowedDomain(target.clone()));
        }
        Ok(())
    }

    pub(crate) fn check_address(&self, ip: IpAddr) -> Result<(), Denial> {
        if contains(&self.denied_networks, ip) {
            return Err(Denial::DeniedNetwork(ip));
        }
        if !self.allowed_networks.is_empty() && !has(&self.allowed_networks, ip) {
            return Err(Denial::NoAllowedNetwork(ip));
        }
        Ok(())
    }

    /// Whether sessions may open that address.
    pub(crate) fn may_open(&self, ip: IpAddr) -> bool {
        has(&self.private_networks, ip)
    }
}

/// A session's: `spec.allowedDomains` and `spec.privateHosts`.
#[derive(Clone, Debug, Default)]
pub struct SessionLists {
    allowed_domains: Vec<DomainPattern>,
    private_hosts: Vec<DomainPattern>,
}

impl SessionLists {
    /// # Errors
    /// An entry means nothing.
    pub fn parse(allowed_domains: &[String], private_hosts: &[String]) -> Result<Self, ListError> {
        Ok(Self {
            allowed_domains: patterns("allowedDomains", allowed_domains)?,
            private_hosts: patterns("privateHosts", private_hosts)?,
        })
    }

    /// The first of its `privateHosts` that names addresses outside of what its class lets it open.
    #[must_use]
    pub fn closed_host(&self, class: &ClassLists) -> Option<IpNet> {
        let named = self.private_hosts.iter().filter_map(DomainPattern::network);
        let is_open =
            |host: &IpNet| class.private_networks.iter().any(|network| network.contains(host));
        named.into_iter().find(|host| !is_open(host))
    }

    pub(crate) fn check_target(&self, target: &Target) -> Result<(), Denial> {
        if self.allowed_domains.is_empty() || any(&self.allowed_domains, target) {
            return Ok(());
        }
        Err(Denial::NotOfSession(target.clone()))
    }

    /// Whether the session opens that host, or that address of it.
    pub(crate) fn opens(&self, target: &Target, ip: IpAddr) -> bool {
        if self.private_hosts.is_empty() {
            return false;
        }
        let host = Host::Ip(ip.to_canonical());
        any(&self.private_hosts, target)
            || any(&self.private_hosts, &Target { host, ..target.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Scheme;
    use serde_json::json;

    fn class(fields: serde_json::Value) -> ClassLists {
        ClassLists::parse(&serde_json::from_value(fields).unwrap()).unwrap()
    }

    fn session(allowed: &[&str], private: &[&str]) -> SessionLists {
        let owned = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        SessionLists::parse(&owned(allowed), &owned(private)).unwrap()
    }

    fn target(host: &str) -> Target {
        Target { scheme: Scheme::Https, host: Host::parse(host).unwrap(), port: 443 }
    }

    #[test]
    fn what_is_denied_is_not_allowed_by_another_list() {
        let class = class(json!({
            "allowedDomains": ["*.example.com", "192.0.2.0/24"], "deniedDomains": ["ads.example.com"],
        }));
        for (host, words) in [
            ("www.example.com", ""),
            ("192.0.2.7", ""),
            ("ads.example.com", "egress.deniedDomains"),
            ("ADS.example.com.", "egress.deniedDomains"),
            ("example.com", "egress.allowedDomains"),
            ("other.example", "egress.allowedDomains"),
            ("198.51.100.1", "egress.allowedDomains"),
        ] {
            let said = class.check_target(&target(host)).map_err(|denial| denial.to_string());
            match said {
                Ok(()) => assert_eq!(words, "", "{host}"),
                Err(said) => assert!(!words.is_empty() && said.contains(words), "{host}: {said}"),
            }
        }
    }

    #[test]
    fn a_network_is_denied_in_every_spelling_and_allowed_in_one() {
        let denied = class(json!({"deniedNetworks": ["198.51.100.0/24"]}));
        let allowed = class(json!({"allowedNetworks": ["192.0.2.0/24", "2001:db8::/32"]}));
        for (ip, is_denied, is_allowed) in [
            ("198.51.100.7", true, false),
            ("::ffff:198.51.100.7", true, false),
            ("64:ff9b::198.51.100.7", true, false),
            ("192.0.2.7", false, true),
            ("::ffff:192.0.2.7", false, true),
            ("2001:db8::1", false, true),
            // Where these are dialled some gateway says, not 192.0.2.7.
            ("64:ff9b::192.0.2.7", false, false),
            ("2002:c000:207::1", false, false),
            ("203.0.113.1", false, false),
        ] {
            let ip = ip.parse().unwrap();
            assert_eq!(denied.check_address(ip).is_err(), is_denied, "{ip}");
            assert_eq!(allowed.check_address(ip).is_ok(), is_allowed, "{ip}");
        }
    }

    #[test]
    fn a_session_is_held_to_its_domains_and_opens_what_it_names() {
        let lists = session(&["example.com"], &["*.corp.example", "10.1.0.0/16"]);
        assert!(lists.check_target(&target("example.com")).is_ok());
        let denial = lists.check_target(&target("www.example.com")).unwrap_err().to_string();
        assert!(denial.contains("spec.allowedDomains"), "{denial}");
        for (host, ip, opens) in [
            ("wiki.corp.example", "10.9.9.9", true),
            ("elsewhere.example", "10.1.2.3", true),
            ("elsewhere.example", "::ffff:10.1.2.3", true),
            ("elsewhere.example", "10.2.2.3", false),
            ("elsewhere.example", "64:ff9b::10.1.2.3", false),
        ] {
            assert_eq!(lists.opens(&target(host), ip.parse().unwrap()), opens, "{host} {ip}");
        }
        let nothing = session(&[], &[]);
        assert!(nothing.check_target(&target("www.example.com")).is_ok());
        assert!(!nothing.opens(&target("wiki.corp.example"), "10.1.2.3".parse().unwrap()));
    }

    #[test]
    fn a_session_opens_no_more_than_its_class_lets_it() {
        let class = class(json!({"privateNetworks": ["10.0.0.0/8"]}));
        for (host, closed) in [
            ("10.1.0.0/16", None),
            ("10.1.2.3", None),
            ("wiki.corp.example", None),
            ("192.168.0.1", Some("192.168.0.1/32")),
            ("0.0.0.0/0", Some("0.0.0.0/0")),
        ] {
            let found = session(&[], &[host]).closed_host(&class);
            assert_eq!(found, closed.map(|network| network.parse().unwrap()), "{host}");
        }
    }

    #[test]
    fn an_entry_that_means_nothing_is_named() {
        for (fields, words) in [
            (json!({"allowedDomains": ["a", "a..b"]}), "egress.allowedDomains[1] names no host"),
            (json!({"deniedDomains": ["("]}), "egress.deniedDomains[0] is not a regular"),
            (
                json!({"allowedNetworks": ["10.0.0.0/33"]}),
                "egress.allowedNetworks[0] is no network",
            ),
            (json!({"deniedNetworks": ["10.0.0.0"]}), "egress.deniedNetworks[0] is no network"),
            (json!({"privateNetworks": ["a/8"]}), "egress.privateNetworks[0] is no network"),
        ] {
            let spec: ClassEgress = serde_json::from_value(fields).unwrap();
            let error = ClassLists::parse(&spec).unwrap_err().to_string();
            assert!(error.starts_with(words), "{error}");
        }
        let error = SessionLists::parse(&[], &["a:0".to_owned()]).unwrap_err().to_string();
        assert!(error.starts_with("privateHosts[0] has a port"), "{error}");
    }
}
