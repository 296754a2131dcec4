//! What follows from a cluster's name: addresses, directories, names of things.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The clusters that fit beside each other on one machine.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Name {
    /// For work and the demo.
    Dev,
    /// For the end-to-end tests.
    Test,
    /// For a change that is tried beside both.
    Spare,
}

impl Name {
    #[cfg(test)]
    const ALL: [Self; 3] = [Self::Dev, Self::Test, Self::Spare];

    /// The name as users write it.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Test => "test",
            Self::Spare => "spare",
        }
    }

    /// The second byte of the pods' and the node's addresses; the services' is the next.
    fn network(self) -> u8 {
        match self {
            Self::Dev => 245,
            Self::Test => 247,
            Self::Spare => 243,
        }
    }

    /// All pods and the link to the machine.
    #[must_use]
    pub fn cluster_range(self) -> String {
        format!("10.{}.0.0/16", self.network())
    }

    /// The pods of the node.
    #[must_use]
    pub fn pod_range(self) -> String {
        format!("10.{}.0.0/24", self.network())
    }

    /// The services.
    #[must_use]
    pub fn service_range(self) -> String {
        format!("10.{}.0.0/16", self.network() + 1)
    }

    /// The service `kubernetes`.
    #[must_use]
    pub fn api_service_address(self) -> String {
        format!("10.{}.0.1", self.network() + 1)
    }

    /// The service `kube-dns`.
    #[must_use]
    pub fn dns_address(self) -> String {
        format!("10.{}.0.10", self.network() + 1)
    }

    /// The gateway's service: fixed, so that the URLs in a session's status are known before there is a service, and
    /// work on this machine, which does not ask the cluster's DNS.
    #[must_use]
    pub fn gateway_address(self) -> String {
        format!("10.{}.0.44", self.network() + 1)
    }

    /// The machine's end of the link.
    #[must_use]
    pub fn host_address(self) -> String {
        format!("10.{}.255.1", self.network())
    }

    /// The node's end of the link.
    #[must_use]
    pub fn node_address(self) -> String {
        format!("10.{}.255.2", self.network())
    }

    /// The API server, for the machine and the node.
    #[must_use]
    pub fn api_url(self) -> String {
        format!("https://{}:6443", self.node_address())
    }

    /// The link's interface on the machine.
    #[must_use]
    pub fn host_interface(self) -> String {
        format!("bo-{}", self.text())
    }

    /// The node's name, which is the cluster's.
    #[must_use]
    pub fn node(self) -> String {
        format!("browser-operator-{}", self.text())
    }

    /// The cluster's own root in every cgroup hierarchy.
    #[must_use]
    pub fn cgroup(self) -> String {
        self.node()
    }

    /// What says that the cluster is there; gone after a restart of the machine.
    #[must_use]
    pub fn runtime(self) -> PathBuf {
        PathBuf::from("/run/browser-operator").join(self.text())
    }

    /// Held by whoever changes the cluster. Outlives the runtime directory.
    #[must_use]
    pub fn lock(self) -> PathBuf {
        PathBuf::from("/run/browser-operator").join(format!("{}.lock", self.text()))
    }

    /// The cluster's disk.
    #[must_use]
    pub fn data(self) -> PathBuf {
        PathBuf::from("/var/lib/browser-operator").join(self.text())
    }

    /// The state directory's name in a checkout.
    #[must_use]
    pub fn state(self) -> &'static str {
        match self {
            Self::Dev => "state",
            Self::Test => "state-test",
            Self::Spare => "state-spare",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_clusters_share_a_range() {
        let ranges = Name::ALL.map(|name| [name.cluster_range(), name.service_range()]);
        let ranges = ranges.as_flattened();
        let different: std::collections::HashSet<_> = ranges.iter().collect();
        assert_eq!(different.len(), ranges.len());
    }

    #[test]
    fn the_node_lies_outside_the_services_and_inside_the_cluster() {
        assert_eq!(Name::Dev.cluster_range(), "10.245.0.0/16");
        assert_eq!(Name::Dev.node_address(), "10.245.255.2");
        assert_eq!(Name::Dev.service_range(), "10.246.0.0/16");
        assert_eq!(Name::Test.dns_address(), "10.248.0.10");
    }

    #[test]
    fn interface_names_fit_the_kernel() {
        for name in Name::ALL {
            assert!(name.host_interface().len() < 16);
        }
    }
}
