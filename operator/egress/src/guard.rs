//! What a browser may not reach, whatever its rules say.

use std::net::IpAddr;

use crds::{ClassEgress, class::ClusterAccess};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::{
    cluster_names,
    denial::{Denial, MAIL_PORT},
    host::{Host, Target},
    lists::{ClassLists, ListError, SessionLists},
    networks::{
        LINK_LOCAL, LOOPBACK, METADATA, MULTICAST, PRIVATE, UNSPECIFIED, contains, meanings,
    },
};

/// What a guard knows of the cluster, as messages carry it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GuardSettings {
    pub cluster_access: ClusterAccess,
    /// The session's own.
    pub namespace: String,
    /// The domain of the cluster's names.
    pub cluster_domain: String,
    /// The networks of pods, Services and nodes. Empty: not known, and so every private one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cluster_networks: Vec<IpNet>,
    /// The class's lists.
    #[serde(default, skip_serializing_if = "ClassEgress::is_empty")]
    pub class: ClassEgress,
    /// `spec.allowedDomains`. Empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_domains: Vec<String>,
    /// `spec.privateHosts`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub private_hosts: Vec<String>,
}

impl GuardSettings {
    /// Whether there are lists, which an agent of before does not know.
    #[must_use]
    pub fn has_lists(&self) -> bool {
        let Self { class, allowed_domains, private_hosts, .. } = self;
        !(class.is_empty() && allowed_domains.is_empty() && private_hosts.is_empty())
    }
}

/// Which addresses a name may lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    World,
    /// The cluster's too.
    Cluster,
}

/// A name to resolve, and where it may lead. The next one is for where it does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    pub name: String,
    pub reach: Reach,
}

/// Networks, and what is said of an address in one of them.
type Denied<'a> = (&'a [IpNet], fn(IpAddr) -> Denial);

/// See the module.
#[derive(Clone, Debug)]
pub struct Guard {
    settings: GuardSettings,
    class: ClassLists,
    session: SessionLists,
    /// The addresses of the browser's own pod.
    own: Vec<IpAddr>,
}

impl Guard {
    /// # Errors
    /// An entry of a list means nothing.
    pub fn new(settings: GuardSettings, own: Vec<IpAddr>) -> Result<Self, ListError> {
        let class = ClassLists::parse(&settings.class)?;
        let session = SessionLists::parse(&settings.allowed_domains, &settings.private_hosts)?;
        Ok(Self { settings, class, session, own })
    }

    /// Judges what can be judged of a request before anything is resolved. That is all that there is where an upstream resolves
    /// the name.
    ///
    /// # Errors
    /// Why it is denied.
    pub fn check_target(&self, target: &Target) -> Result<(), Denial> {
        self.check_upstream(target)?;
        self.session.check_target(target)
    }

    /// The same for an upstream: which ones there are is the class's to say, and not its session's domains'.
    ///
    /// # Errors
    /// Why it is denied.
    pub fn check_upstream(&self, target: &Target) -> Result<(), Denial> {
        if target.port == MAIL_PORT {
            return Err(Denial::MailPort);
        }
        match &target.host {
            host if host.is_localhost() => return Err(Denial::Loopback(host.to_string())),
            Host::Ip(ip) => {
                self.check_everywhere(*ip)?;
                self.class.check_address(*ip)?;
            }
            Host::Name(_) => {}
        }
        self.class.check_target(target)
    }

    /// What a name is resolved as, in order.
    #[must_use]
    pub fn lookups(&self, name: &str) -> Vec<Lookup> {
        let GuardSettings { cluster_access, namespace, cluster_domain, .. } = &self.settings;
        let whole = |reach| Lookup { name: name.to_owned(), reach };
        match cluster_access {
            ClusterAccess::All => vec![whole(Reach::Cluster)],
            ClusterAccess::None => vec![whole(Reach::World)],
            // By its full name: a name of the world may look like a short one of the namespace.
            ClusterAccess::Namespace => {
                let full = cluster_names::full_name(name, namespace, cluster_domain);
                let full = full.map(|name| Lookup { name: name + ".", reach: Reach::Cluster });
                full.into_iter().chain([whole(Reach::World)]).collect()
            }
        }
    }

    /// Where an address leads that a request names itself.
    #[must_use]
    pub fn reach_of_address(&self) -> Reach {
        match self.settings.cluster_access {
            ClusterAccess::All => Reach::Cluster,
            ClusterAccess::Namespace | ClusterAccess::None => Reach::World,
        }
    }

    /// Judges an address that is about to be dialled for a request.
    ///
    /// # Errors
    /// Why it is denied.
    pub fn check_address(&self, target: &Target, ip: IpAddr, reach: Reach) -> Result<(), Denial> {
        self.check_everywhere(ip)?;
        self.class.check_address(ip)?;
        let GuardSettings { cluster_access, namespace, cluster_networks, .. } = &self.settings;
        let networks =
            if cluster_networks.is_empty() { &PRIVATE[..] } else { cluster_networks.as_slice() };
        if reach == Reach::Cluster || !contains(networks, ip) {
            return Ok(());
        }
        let may_be_opened = self.class.may_open(ip);
        if may_be_opened && self.session.opens(target, ip) {
            return Ok(());
        }
        let (access, namespace) = (*cluster_access, namespace.clone());
        Err(Denial::Cluster { ip, access, namespace, may_be_opened })
    }

    /// What is denied whatever the class says.
    fn check_everywhere(&self, ip: IpAddr) -> Result<(), Denial> {
        if contains(&LOOPBACK, ip) {
            return Err(Denial::Loopback(ip.to_string()));
        }
        if meanings(ip).any(|ip| self.own.contains(&ip)) {
            return Err(Denial::Own(ip));
        }
        let kinds: [Denied<'_>; 4] = [
            (&METADATA, Denial::Metadata),
            (&LINK_LOCAL, Denial::LinkLocal),
            (&UNSPECIFIED, Denial::Unspecified),
            (&MULTICAST, Denial::Multicast),
        ];
        match kinds.into_iter().find(|(networks, _)| contains(networks, ip)) {
            Some((_, denial)) => Err(denial(ip)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Scheme;
    use proptest::prelude::*;

    fn guard(cluster_access: ClusterAccess, networks: &[&str]) -> Guard {
        let settings = GuardSettings {
            cluster_access,
            namespace: "team-a".to_owned(),
            cluster_domain: "cluster.local".to_owned(),
            cluster_networks: networks.iter().map(|network| network.parse().unwrap()).collect(),
            ..GuardSettings::default()
        };
        of_settings(settings)
    }

    fn of_settings(settings: GuardSettings) -> Guard {
        let own = vec!["203.0.113.7".parse().unwrap(), "2001:db8::7".parse().unwrap()];
        Guard::new(settings, own).unwrap()
    }

    /// Judges as the agent does where a request names an address.
    fn judge(guard: &Guard, host: &str, port: u16) -> Result<(), Denial> {
        let host = Host::parse(host).unwrap();
        let target = Target { scheme: Scheme::Http, host: host.clone(), port };
        guard.check_target(&target)?;
        match host {
            Host::Ip(ip) => guard.check_address(&target, ip, guard.reach_of_address()),
            Host::Name(_) => Ok(()),
        }
    }

    #[test]
    fn what_no_page_may_reach_is_denied_in_every_class_and_spelling() {
        for access in [ClusterAccess::None, ClusterAccess::Namespace, ClusterAccess::All] {
            let guard = guard(access, &[]);
            for (host, words) in [
                ("localhost", "loopback"),
                ("rebound.localhost.", "loopback"),
                ("127.0.0.1", "loopback"),
                ("127.1", "loopback"),
                ("0x7f.1", "loopback"),
                ("2130706433", "loopback"),
                ("0177.0.0.1", "loopback"),
                ("127.255.255.254", "loopback"),
                ("[::1]", "loopback"),
                ("[::ffff:127.0.0.1]", "loopback"),
                ("[::127.0.0.1]", "loopback"),
                ("[64:ff9b::7f00:1]", "loopback"),
                ("[2002:7f00:1::]", "loopback"),
                ("0.0.0.0", "unspecified"),
                ("0", "unspecified"),
                ("[::]", "unspecified"),
                ("[::ffff:0.0.0.0]", "unspecified"),
                ("169.254.169.254", "metadata"),
                ("0xa9fea9fe", "metadata"),
                ("[::ffff:169.254.169.254]", "metadata"),
                ("[64:ff9b::a9fe:a9fe]", "metadata"),
                ("[fd00:ec2::254]", "metadata"),
                ("100.100.100.200", "metadata"),
                ("168.63.129.16", "metadata"),
                ("169.254.1.1", "link-local"),
                ("[fe80::1]", "link-local"),
                ("[fec0::1]", "link-local"),
                ("224.0.0.1", "multicast"),
                ("255.255.255.255", "multicast"),
                ("[ff02::1]", "multicast"),
                ("203.0.113.7", "own pod"),
                ("[::ffff:203.0.113.7]", "own pod"),
                ("[2001:db8::7]", "own pod"),
            ] {
                let denial = judge(&guard, host, 80).unwrap_err().to_string();
                assert!(denial.contains(words), "{host}: {denial}");
            }
            assert_eq!(judge(&guard, "192.0.2.1", 25), Err(Denial::MailPort));
            for host in ["192.0.2.1", "[2001:db8::1]", "www.example.com", "[64:ff9b::c000:201]"] {
                assert_eq!(judge(&guard, host, 443), Ok(()), "{host}");
            }
        }
    }

    #[test]
    fn addresses_of_the_cluster_are_the_classs_to_open() {
        let unknown = [
            "10.0.0.1",
            "172.16.0.1",
            "192.168.0.1",
            "100.64.0.1",
            "[fd01::1]",
            "[::ffff:10.0.0.1]",
        ];
        for host in unknown {
            assert!(judge(&guard(ClusterAccess::Namespace, &[]), host, 80).is_err(), "{host}");
            assert!(judge(&guard(ClusterAccess::None, &[]), host, 80).is_err(), "{host}");
            assert_eq!(judge(&guard(ClusterAccess::All, &[]), host, 80), Ok(()), "{host}");
        }
        let known = guard(ClusterAccess::Namespace, &["10.96.0.0/12", "fd01::/64"]);
        for (host, allowed) in
            [("10.96.0.1", false), ("[fd01::1]", false), ("10.0.0.1", true), ("192.168.0.1", true)]
        {
            assert_eq!(judge(&known, host, 80).is_ok(), allowed, "{host}");
        }
        let denial = judge(&known, "10.96.0.1", 80).unwrap_err().to_string();
        assert!(denial.contains("clusterAccess: namespace, by which"), "{denial}");
        assert!(denial.contains("clusterAccess: all"), "{denial}");
    }

    #[test]
    fn only_the_full_name_of_an_own_service_leads_into_the_cluster() {
        let of = |access, name: &str| {
            let lookups = guard(access, &[]).lookups(name);
            lookups.into_iter().map(|lookup| (lookup.name, lookup.reach)).collect::<Vec<_>>()
        };
        let full = ("web.team-a.svc.cluster.local.".to_owned(), Reach::Cluster);
        for name in ["web", "web.team-a", "web.team-a.svc", "web.team-a.svc.cluster.local"] {
            let world = (name.to_owned(), Reach::World);
            assert_eq!(of(ClusterAccess::Namespace, name), [full.clone(), world.clone()], "{name}");
            assert_eq!(of(ClusterAccess::None, name), [world], "{name}");
            assert_eq!(of(ClusterAccess::All, name), [(name.to_owned(), Reach::Cluster)], "{name}");
        }
        let other = ("web.team-b.svc".to_owned(), Reach::World);
        assert_eq!(of(ClusterAccess::Namespace, "web.team-b.svc"), [other]);
    }

    #[test]
    fn what_no_page_may_reach_no_list_opens() {
        let everything = vec!["0.0.0.0/0".to_owned(), "::/0".to_owned()];
        let guard = of_settings(GuardSettings {
            class: ClassEgress { private_networks: everything, ..ClassEgress::default() },
            private_hosts: vec!["*".to_owned()],
            ..GuardSettings::default()
        });
        assert_eq!(judge(&guard, "10.0.0.1", 80), Ok(()));
        for host in ["127.0.0.1", "169.254.169.254", "203.0.113.7", "[fe80::1]", "0.0.0.0"] {
            assert!(judge(&guard, host, 80).is_err(), "{host}");
        }
        assert_eq!(judge(&guard, "10.0.0.1", 25), Err(Denial::MailPort));
    }

    #[test]
    fn a_private_host_is_opened_by_both_its_session_and_its_class() {
        let of = |networks: &[&str], hosts: &[&str]| {
            let owned = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
            of_settings(GuardSettings {
                class: ClassEgress { private_networks: owned(networks), ..ClassEgress::default() },
                private_hosts: owned(hosts),
                ..GuardSettings::default()
            })
        };
        assert_eq!(judge(&of(&["10.0.0.0/8"], &["10.1.2.3"]), "10.1.2.3", 80), Ok(()));
        let denial = judge(&of(&["10.0.0.0/8"], &[]), "10.1.2.3", 80).unwrap_err().to_string();
        assert!(denial.contains("spec.privateHosts opens"), "{denial}");
        let denial = judge(&of(&[], &["10.1.2.3"]), "10.1.2.3", 80).unwrap_err().to_string();
        assert!(!denial.contains("spec.privateHosts"), "{denial}");
        let by_name = of(&["10.0.0.0/8"], &["wiki.corp.example"]);
        let target = |name: &str| Target {
            scheme: Scheme::Http,
            host: Host::parse(name).unwrap(),
            port: 80,
        };
        let check = |name: &str, ip: &str| {
            by_name.check_address(&target(name), ip.parse().unwrap(), Reach::World).is_ok()
        };
        assert!(check("wiki.corp.example", "10.1.2.3"));
        assert!(!check("wiki.corp.example", "192.168.1.2") && !check("a.example", "10.1.2.3"));
    }

    #[test]
    fn an_upstream_is_held_to_the_classs_domains_and_not_to_the_sessions() {
        let guard = of_settings(GuardSettings {
            class: ClassEgress {
                denied_domains: vec!["proxy.example".to_owned()],
                ..ClassEgress::default()
            },
            allowed_domains: vec!["a.example".to_owned()],
            ..GuardSettings::default()
        });
        let target = |name: &str| Target {
            scheme: Scheme::Http,
            host: Host::parse(name).unwrap(),
            port: 80,
        };
        assert!(guard.check_target(&target("b.example")).is_err());
        assert!(guard.check_upstream(&target("b.example")).is_ok());
        assert!(guard.check_upstream(&target("proxy.example")).is_err());
    }

    proptest! {
        #[test]
        fn an_embedded_address_is_judged_as_itself(octets in any::<[u8; 4]>(), access in 0..3_u8) {
            let access = [ClusterAccess::None, ClusterAccess::Namespace, ClusterAccess::All][usize::from(access)];
            let guard = guard(access, &[]);
            let ip = std::net::Ipv4Addr::from(octets);
            if judge(&guard, &ip.to_string(), 80).is_err() {
                for text in [
                    format!("[::ffff:{ip}]"),
                    format!("[64:ff9b::{ip}]"),
                    format!("[2002:{:02x}{:02x}:{:02x}{:02x}::1]", octets[0], octets[1], octets[2], octets[3]),
                    u32::from(ip).to_string(),
                    format!("{:#x}", u32::from(ip)),
                ] {
                    prop_assert!(judge(&guard, &text, 80).is_err(), "{}", text);
                }
            }
        }
    }
}
