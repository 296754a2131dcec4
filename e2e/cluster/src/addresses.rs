//! A cluster's addresses: of IPv4, of IPv6, or of both.
//!
//! Those of IPv6 are unique local ones (RFC 4193), so none of them leads off this machine.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::plan::Name;

/// Which families a cluster has.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum IpFamily {
    #[default]
    Ipv4,
    Ipv6,
    /// Both; IPv4 is the one that a Service has which asks for none.
    Dual,
}

/// What a cluster's command lines and files follow from.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Plan {
    pub name: Name,
    pub ip_family: IpFamily,
    /// Whether NetworkPolicies are enforced.
    #[serde(default)]
    pub network_policy: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Version {
    V4,
    V6,
}

/// A cluster's addresses of one family.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    version: Version,
    network: u8,
}

impl Plan {
    /// Of each family, the preferred one first.
    #[must_use]
    pub fn addresses(self) -> Vec<Addresses> {
        let versions: &[Version] = match self.ip_family {
            IpFamily::Ipv4 => &[Version::V4],
            IpFamily::Ipv6 => &[Version::V6],
            IpFamily::Dual => &[Version::V4, Version::V6],
        };
        let network = self.name.network();
        versions.iter().map(|version| Addresses { version: *version, network }).collect()
    }

    /// Of the preferred family.
    #[must_use]
    pub fn preferred(self) -> Addresses {
        let version = if self.ip_family == IpFamily::Ipv6 { Version::V6 } else { Version::V4 };
        Addresses { version, network: self.name.network() }
    }

    /// Of each family, as Kubernetes' flags take them.
    #[must_use]
    pub fn listed(self, which: impl Fn(Addresses) -> String) -> String {
        self.addresses().into_iter().map(which).collect::<Vec<_>>().join(",")
    }

    /// The API server, for the machine and the node.
    #[must_use]
    pub fn api_url(self) -> String {
        let addresses = self.preferred();
        format!("https://{}:6443", addresses.in_url(&addresses.node()))
    }

    /// The gateway's Service.
    #[must_use]
    pub fn gateway_url(self) -> String {
        let addresses = self.preferred();
        format!("http://{}:4444", addresses.in_url(&addresses.gateway()))
    }
}

impl Addresses {
    #[must_use]
    pub fn is_v6(self) -> bool {
        self.version == Version::V6
    }

    /// All pods and the link to the machine.
    #[must_use]
    pub fn cluster_range(self) -> String {
        match self.version {
            Version::V4 => format!("10.{}.0.0/16", self.network),
            Version::V6 => format!("{}::/48", self.prefix()),
        }
    }

    /// The pods of the node.
    #[must_use]
    pub fn pod_range(self) -> String {
        match self.version {
            Version::V4 => format!("10.{}.0.0/24", self.network),
            Version::V6 => format!("{}::/64", self.prefix()),
        }
    }

    /// The Services. Kubernetes takes no IPv6 range above a /108.
    #[must_use]
    pub fn service_range(self) -> String {
        match self.version {
            Version::V4 => format!("{}/16", self.service(0)),
            Version::V6 => format!("{}::/112", self.service_prefix()),
        }
    }

    /// The Service `kubernetes`.
    #[must_use]
    pub fn api_service(self) -> String {
        self.service(1)
    }

    /// The Service `kube-dns`.
    #[must_use]
    pub fn dns(self) -> String {
        self.service(10)
    }

    /// The gateway's Service: fixed, so that the URLs in a session's status are known before there is a Service, and
    /// work on this machine, which does not ask the cluster's DNS.
    #[must_use]
    pub fn gateway(self) -> String {
        self.service(44)
    }

    /// The machine's end of the link.
    #[must_use]
    pub fn host(self) -> String {
        self.link(1)
    }

    /// The node's end of the link.
    #[must_use]
    pub fn node(self) -> String {
        self.link(2)
    }

    /// An end of the link with the length of its network.
    #[must_use]
    pub fn on_link(self, address: &str) -> String {
        format!("{address}/{}", if self.is_v6() { 64 } else { 30 })
    }

    fn in_url(self, address: &str) -> String {
        if self.is_v6() { format!("[{address}]") } else { address.to_owned() }
    }

    fn link(self, number: u8) -> String {
        match self.version {
            Version::V4 => format!("10.{}.255.{number}", self.network),
            Version::V6 => format!("{}:ffff::{number:x}", self.prefix()),
        }
    }

    fn service(self, number: u8) -> String {
        match self.version {
            Version::V4 => format!("10.{}.0.{number}", self.network + 1),
            Version::V6 => format!("{}::{number:x}", self.service_prefix()),
        }
    }

    fn prefix(self) -> String {
        format!("fd62:6f00:{:x}", self.network)
    }

    fn service_prefix(self) -> String {
        format!("fd62:6f00:{:x}", self.network + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAMILIES: [IpFamily; 3] = [IpFamily::Ipv4, IpFamily::Ipv6, IpFamily::Dual];

    fn plan(name: Name, ip_family: IpFamily) -> Plan {
        Plan { name, ip_family, network_policy: true }
    }

    #[test]
    fn no_two_clusters_share_a_range() {
        let ranges = Name::ALL.map(|name| {
            let addresses = plan(name, IpFamily::Dual).addresses();
            addresses
                .iter()
                .flat_map(|a| [a.cluster_range(), a.service_range()])
                .collect::<Vec<_>>()
        });
        let ranges = ranges.concat();
        let different: std::collections::HashSet<_> = ranges.iter().collect();
        assert_eq!(different.len(), ranges.len());
    }

    #[test]
    fn the_node_lies_outside_the_services_and_inside_the_cluster() {
        let dual = plan(Name::Dev, IpFamily::Dual);
        assert_eq!(dual.listed(Addresses::cluster_range), "10.245.0.0/16,fd62:6f00:f5::/48");
        assert_eq!(dual.listed(Addresses::pod_range), "10.245.0.0/24,fd62:6f00:f5::/64");
        assert_eq!(dual.listed(Addresses::node), "10.245.255.2,fd62:6f00:f5:ffff::2");
        assert_eq!(dual.listed(Addresses::service_range), "10.246.0.0/16,fd62:6f00:f6::/112");
        assert_eq!(dual.listed(Addresses::dns), "10.246.0.10,fd62:6f00:f6::a");
    }

    #[test]
    fn the_preferred_address_is_the_first() {
        for family in FAMILIES {
            let plan = plan(Name::Test, family);
            assert_eq!(plan.addresses().first().map(|a| a.node()), Some(plan.preferred().node()));
        }
    }

    #[test]
    fn an_ipv6_address_stands_in_brackets_in_a_url() {
        assert_eq!(plan(Name::Dev, IpFamily::Dual).api_url(), "https://10.245.255.2:6443");
        let v6 = plan(Name::Dev, IpFamily::Ipv6);
        assert_eq!(v6.api_url(), "https://[fd62:6f00:f5:ffff::2]:6443");
        assert_eq!(v6.gateway_url(), "http://[fd62:6f00:f6::2c]:4444");
    }
}
