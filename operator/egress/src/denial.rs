//! Why something is not reached, in words that name the setting that would allow it.

use std::net::IpAddr;

use crds::class::ClusterAccess;

use crate::host::Target;

/// The port of mail between servers: no page has business there, and whoever sends spam has.
pub(crate) const MAIL_PORT: u16 = 25;

/// Why something is not reached.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    #[error("port {MAIL_PORT} is denied: no page sends mail by itself")]
    MailPort,
    #[error("{0} is this machine's own (loopback), which no page may reach")]
    Loopback(String),
    #[error("{0} is an address of the browser's own pod, which no page may reach")]
    Own(IpAddr),
    #[error("{0} is an address of a cloud's metadata, which no page may reach")]
    Metadata(IpAddr),
    #[error("{0} is a link-local address, which no page may reach")]
    LinkLocal(IpAddr),
    #[error("{0} is no address of a server (unspecified)")]
    Unspecified(IpAddr),
    #[error("{0} is no address of a server (multicast or reserved)")]
    Multicast(IpAddr),
    #[error(
        "{ip} is an address of the cluster, and the class has clusterAccess: {}{}{}",
        .access.as_str(),
        how_to_reach(*.access, .namespace),
        if *.may_be_opened { "; and spec.privateHosts opens what it names" } else { "" }
    )]
    Cluster { ip: IpAddr, access: ClusterAccess, namespace: String, may_be_opened: bool },
    #[error("{} is on the class's list egress.deniedDomains", .0.host)]
    DeniedDomain(Target),
    #[error("{} is not on the class's list egress.allowedDomains", .0.host)]
    NoAllowedDomain(Target),
    #[error("{0} is in a network of the class's list egress.deniedNetworks")]
    DeniedNetwork(IpAddr),
    #[error("{0} is in no network of the class's list egress.allowedNetworks")]
    NoAllowedNetwork(IpAddr),
    #[error("{} is not on the session's list spec.allowedDomains", .0.host)]
    NotOfSession(Target),
}

fn how_to_reach(access: ClusterAccess, namespace: &str) -> String {
    match access {
        ClusterAccess::Namespace => format!(
            ", by which the Services of namespace {namespace} can be reached by their names; clusterAccess: all opens the rest"
        ),
        _ => "; clusterAccess: namespace opens the Services of the session's own namespace, all the rest"
            .to_owned(),
    }
}
