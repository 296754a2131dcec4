//! What the administrator decides.

use std::net::IpAddr;

use ipnet::IpNet;
use support::watch::Scope;

use crate::network::PolicySettings;

#[derive(Clone, Debug)]
pub struct Settings {
    /// The gateway's URL in a session's status, without a slash at its end; `http` or `https`.
    pub gateway_url: String,
    /// The operator's own namespace.
    pub operator_namespace: String,
    /// The NetworkPolicies of browsers' pods; `None`: there are none.
    pub network_policy: Option<PolicySettings>,
    /// The addresses of this replica's pod.
    pub own_ips: Vec<IpAddr>,
    /// The domain of the cluster's names, for example `cluster.local`.
    pub cluster_domain: String,
    /// The networks of the cluster's pods, Services and nodes. Empty: not known.
    pub cluster_networks: Vec<IpNet>,
    /// The name of this replica's pod, which its Events are reported by.
    pub identity: String,
    /// The classes that are this controller's name it.
    pub controller_name: String,
    /// Where sessions are reconciled.
    pub namespaces: Scope,
    /// How many steps that read or write the API server are taken at a time.
    pub concurrent_steps: usize,
    /// How many agents are asked at a time to take their sessions.
    pub concurrent_binds: usize,
}
