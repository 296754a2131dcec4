//! `spec.egress` of a class: what the pages of its sessions reach, beside what none may.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema::WORD;

/// The pattern of a network in CIDR notation.
const NETWORK: &str = "^[0-9A-Fa-f:.]+/[0-9]{1,3}$";

/// What pages reach. What a list denies no other one allows.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClassEgress {
    /// The only hosts that are reached, as patterns like those of `spec.proxy.rules[].domainPattern`. Proxies of sessions must be
    /// among them, too. Empty: every host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128), inner(length(min = 1, max = 253), regex(pattern = WORD)))]
    pub allowed_domains: Vec<String>,

    /// Hosts that are not reached, as patterns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128), inner(length(min = 1, max = 253), regex(pattern = WORD)))]
    pub denied_domains: Vec<String>,

    /// The only networks whose addresses are reached, the cluster's too. Empty: every network.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128), inner(length(min = 3, max = 49), regex(pattern = NETWORK)))]
    pub allowed_networks: Vec<String>,

    /// Networks whose addresses are not reached.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128), inner(length(min = 3, max = 49), regex(pattern = NETWORK)))]
    pub denied_networks: Vec<String>,

    /// The networks in which a session's `spec.privateHosts` may open hosts that `clusterAccess` closes. Empty: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128), inner(length(min = 3, max = 49), regex(pattern = NETWORK)))]
    pub private_networks: Vec<String>,
}

impl ClassEgress {
    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
