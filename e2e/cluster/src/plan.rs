//! What follows from a cluster's name: directories, names of things.

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
    pub const ALL: [Self; 3] = [Self::Dev, Self::Test, Self::Spare];

    /// The name as users write it.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Test => "test",
            Self::Spare => "spare",
        }
    }

    /// The number in the pods' and the node's addresses; the Services' is the next.
    #[must_use]
    pub fn network(self) -> u8 {
        match self {
            Self::Dev => 245,
            Self::Test => 247,
            Self::Spare => 243,
        }
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
    fn interface_names_fit_the_kernel() {
        for name in Name::ALL {
            assert!(name.host_interface().len() < 16);
        }
    }
}
