//! The NetworkPolicies of a namespace. Each selects the pods that were made with one value of their class's `clusterAccess`, by
//! a label; one more selects those that their sessions expose. Pods of before lack the labels, and are left alone. Pure.

use std::collections::BTreeMap;

use agent_api::paths::AGENT_PORT;
use crds::{class::ClusterAccess, names};
use ipnet::IpNet;
use k8s_openapi::{
    api::networking::v1::{
        IPBlock, NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule,
        NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
    },
    apimachinery::pkg::{
        apis::meta::v1::{LabelSelector, LabelSelectorRequirement, ObjectMeta},
        util::intstr::IntOrString,
    },
};
use serde::Deserialize;

use crate::cache::controller_label;

/// On every Namespace, by the API server (KEP-2161).
const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";
/// What the names of the policies begin with.
const NAME: &str = "browser-operator-browsers";
/// The hexadecimal digits of a controller's label in the names of its policies.
const CONTROLLER_DIGITS: usize = 8;

/// What the administrator says of them.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicySettings {
    /// The pods of this release in the operator's namespace.
    controller: LabelSelector,
    gateway: LabelSelector,
    /// Where the cluster's DNS is.
    dns: Vec<NetworkPolicyEgressRule>,
    /// Who else may connect to browsers' pods.
    #[serde(default)]
    from: Vec<NetworkPolicyPeer>,
    /// What else these may reach.
    #[serde(default)]
    egress: Vec<NetworkPolicyEgressRule>,
}

/// Which pods a policy is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Those of classes with this `clusterAccess`.
    Access(ClusterAccess),
    /// Those of sessions with `expose`.
    Exposed,
}

impl Kind {
    pub const ALL: [Self; 4] = [
        Self::Access(ClusterAccess::None),
        Self::Access(ClusterAccess::Namespace),
        Self::Access(ClusterAccess::All),
        Self::Exposed,
    ];

    /// The label by which a pod is selected.
    fn label(self) -> (&'static str, &'static str) {
        match self {
            Self::Access(access) => (names::CLUSTER_ACCESS_LABEL, access.as_str()),
            Self::Exposed => (names::EXPOSED_LABEL, "true"),
        }
    }

    /// The policies for a pod of these labels.
    pub fn of_pod(labels: &BTreeMap<String, String>) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|kind| {
            let (label, value) = kind.label();
            labels.get(label).is_some_and(|has| has == value)
        })
    }
}

/// Whose policies, and what they rest on.
pub struct Policy<'a> {
    pub settings: &'a PolicySettings,
    pub controller_name: &'a str,
    pub operator_namespace: &'a str,
    /// The networks of the cluster; empty: not known.
    pub cluster: &'a [IpNet],
}

impl Policy<'_> {
    /// Its name in every namespace.
    pub fn name(&self, kind: Kind) -> String {
        let suffix = match kind {
            Kind::Access(access) => access.as_str(),
            Kind::Exposed => "exposed",
        };
        match controller_label(self.controller_name) {
            None => format!("{NAME}-{suffix}"),
            Some((_, value)) => {
                let digits = value.get(..CONTROLLER_DIGITS).unwrap_or(&value);
                format!("{NAME}-{digits}-{suffix}")
            }
        }
    }

    pub fn build(&self, namespace: &str, kind: Kind) -> NetworkPolicy {
        let ours = (names::MANAGED_BY_LABEL.to_owned(), names::MANAGED_BY.to_owned());
        let controller = controller_label(self.controller_name);
        let (label, value) = kind.label();
        let mut selected: BTreeMap<_, _> =
            [ours.clone(), (label.to_owned(), value.to_owned())].into();
        selected.extend(controller.clone());
        // Another release's pods are for its own policies, and it may want none.
        let no_other = controller.is_none().then(|| {
            vec![LabelSelectorRequirement {
                key: names::CONTROLLER_LABEL.to_owned(),
                operator: "DoesNotExist".to_owned(),
                values: None,
            }]
        });
        let mut labels = BTreeMap::from([ours]);
        labels.extend(controller);
        let rules = match kind {
            Kind::Access(access) => NetworkPolicySpec {
                ingress: Some(vec![agents(Some(self.clients()))]),
                egress: Some(self.egress(access)),
                policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
                ..NetworkPolicySpec::default()
            },
            Kind::Exposed => NetworkPolicySpec {
                ingress: Some(vec![agents(None)]),
                policy_types: Some(vec!["Ingress".to_owned()]),
                ..NetworkPolicySpec::default()
            },
        };
        NetworkPolicy {
            metadata: ObjectMeta {
                name: Some(self.name(kind)),
                namespace: Some(namespace.to_owned()),
                labels: Some(labels),
                ..ObjectMeta::default()
            },
            spec: Some(NetworkPolicySpec {
                pod_selector: Some(LabelSelector {
                    match_labels: Some(selected),
                    match_expressions: no_other,
                }),
                ..rules
            }),
        }
    }

    /// Who may connect to an agent.
    fn clients(&self) -> Vec<NetworkPolicyPeer> {
        let PolicySettings { controller, gateway, from, .. } = self.settings;
        let own = [controller, gateway].map(|pods| self.operators(pods));
        own.into_iter().chain(from.iter().cloned()).collect()
    }

    fn operators(&self, pods: &LabelSelector) -> NetworkPolicyPeer {
        let name = (NAMESPACE_NAME.to_owned(), self.operator_namespace.to_owned());
        NetworkPolicyPeer {
            namespace_selector: Some(LabelSelector {
                match_labels: Some([name].into()),
                match_expressions: None,
            }),
            pod_selector: Some(pods.clone()),
            ip_block: None,
        }
    }

    fn egress(&self, access: ClusterAccess) -> Vec<NetworkPolicyEgressRule> {
        let PolicySettings { gateway, dns, egress, .. } = self.settings;
        let mut reached = match access {
            ClusterAccess::None => Vec::new(),
            ClusterAccess::Namespace => vec![NetworkPolicyPeer {
                pod_selector: Some(LabelSelector::default()),
                ..NetworkPolicyPeer::default()
            }],
            ClusterAccess::All => vec![NetworkPolicyPeer {
                namespace_selector: Some(LabelSelector::default()),
                ..NetworkPolicyPeer::default()
            }],
        };
        reached.extend(world(&match access {
            ClusterAccess::All => egress::closed_to_all(),
            ClusterAccess::None | ClusterAccess::Namespace => egress::closed_to_world(self.cluster),
        }));
        // Nothing that a page may do needs UDP, as its requests go through its agent.
        let own = [
            NetworkPolicyEgressRule { to: Some(reached), ports: Some(vec![tcp(None)]) },
            NetworkPolicyEgressRule {
                to: Some(vec![self.operators(gateway)]),
                ports: Some(vec![tcp(Some(AGENT_PORT))]),
            },
        ];
        dns.iter().cloned().chain(own).chain(egress.iter().cloned()).collect()
    }
}

/// Every address of both families but these.
fn world(closed: &[IpNet]) -> [NetworkPolicyPeer; 2] {
    [("0.0.0.0/0", true), ("::/0", false)].map(|(cidr, is_v4)| {
        let except = closed.iter().filter(|network| network.addr().is_ipv4() == is_v4);
        NetworkPolicyPeer {
            ip_block: Some(IPBlock {
                cidr: cidr.to_owned(),
                except: Some(except.map(ToString::to_string).collect()),
            }),
            ..NetworkPolicyPeer::default()
        }
    })
}

/// Connections to agents.
fn agents(from: Option<Vec<NetworkPolicyPeer>>) -> NetworkPolicyIngressRule {
    NetworkPolicyIngressRule { from, ports: Some(vec![tcp(Some(AGENT_PORT))]) }
}

fn tcp(port: Option<u16>) -> NetworkPolicyPort {
    NetworkPolicyPort {
        port: port.map(|port| IntOrString::Int(port.into())),
        protocol: Some("TCP".to_owned()),
        end_port: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn settings() -> PolicySettings {
        serde_json::from_value(json!({
            "controller": {"matchLabels": {"component": "controller"}},
            "gateway": {"matchLabels": {"component": "gateway"}},
            "dns": [{
                "to": [{"namespaceSelector": {"matchLabels": {"dns": "yes"}}}],
                "ports": [{"protocol": "UDP", "port": 53}],
            }],
            "from": [{"ipBlock": {"cidr": "192.0.2.1/32"}}],
            "egress": [{"to": [{"ipBlock": {"cidr": "10.9.0.0/16"}}]}],
        }))
        .unwrap()
    }

    fn build(controller_name: &str, cluster: &[&str], kind: Kind) -> Value {
        let cluster: Vec<IpNet> = cluster.iter().map(|network| network.parse().unwrap()).collect();
        let policy = Policy {
            settings: &settings(),
            controller_name,
            operator_namespace: "operators",
            cluster: &cluster,
        };
        serde_json::to_value(policy.build("team-a", kind)).unwrap()
    }

    fn excepted(policy: &Value) -> Vec<String> {
        let blocks = policy["spec"]["egress"][1]["to"].as_array().unwrap().iter();
        let excepts = blocks.filter_map(|peer| peer["ipBlock"]["except"].as_array());
        excepts.flatten().map(|network| network.as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn a_browser_hears_gateway_and_controller_and_reaches_its_namespace_and_the_world() {
        let kind = Kind::Access(ClusterAccess::Namespace);
        let mut policy = build(names::CONTROLLER_NAME, &["10.1.0.0/16"], kind);
        let excepted = excepted(&policy);
        for network in ["10.1.0.0/16", "169.254.0.0/16", "fe80::/9"] {
            assert!(excepted.iter().any(|one| one == network), "{network}: {excepted:?}");
        }
        assert!(!excepted.iter().any(|one| one == "10.0.0.0/8"), "{excepted:?}");
        for block in [1, 2] {
            policy["spec"]["egress"][1]["to"][block]["ipBlock"]["except"] = json!("checked");
        }
        let operators = |component| {
            json!({
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "operators"}},
                "podSelector": {"matchLabels": {"component": component}},
            })
        };
        assert_eq!(
            policy,
            json!({
                "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
                "metadata": {
                    "name": "browser-operator-browsers-namespace",
                    "namespace": "team-a",
                    "labels": {"app.kubernetes.io/managed-by": "browser-operator"},
                },
                "spec": {
                    "podSelector": {
                        "matchLabels": {
                            "app.kubernetes.io/managed-by": "browser-operator",
                            "browser-operator.io/cluster-access": "namespace",
                        },
                        "matchExpressions": [
                            {"key": "browser-operator.io/controller", "operator": "DoesNotExist"},
                        ],
                    },
                    "policyTypes": ["Ingress", "Egress"],
                    "ingress": [{
                        "from": [
                            operators("controller"),
                            operators("gateway"),
                            {"ipBlock": {"cidr": "192.0.2.1/32"}},
                        ],
                        "ports": [{"protocol": "TCP", "port": 4444}],
                    }],
                    "egress": [
                        {
                            "to": [{"namespaceSelector": {"matchLabels": {"dns": "yes"}}}],
                            "ports": [{"protocol": "UDP", "port": 53}],
                        },
                        {
                            "to": [
                                {"podSelector": {}},
                                {"ipBlock": {"cidr": "0.0.0.0/0", "except": "checked"}},
                                {"ipBlock": {"cidr": "::/0", "except": "checked"}},
                            ],
                            "ports": [{"protocol": "TCP"}],
                        },
                        {"to": [operators("gateway")], "ports": [{"protocol": "TCP", "port": 4444}]},
                        {"to": [{"ipBlock": {"cidr": "10.9.0.0/16"}}]},
                    ],
                },
            })
        );
    }

    #[test]
    fn what_of_the_cluster_is_open_is_what_the_class_says() {
        for (access, peer, private_is_closed) in [
            (ClusterAccess::None, json!({"ipBlock": {"cidr": "0.0.0.0/0"}}), true),
            (ClusterAccess::Namespace, json!({"podSelector": {}}), true),
            (ClusterAccess::All, json!({"namespaceSelector": {}}), false),
        ] {
            // Nobody has said where the cluster is.
            let mut policy = build(names::CONTROLLER_NAME, &[], Kind::Access(access));
            let excepted = excepted(&policy);
            assert_eq!(excepted.iter().any(|one| one == "10.0.0.0/8"), private_is_closed);
            assert!(excepted.iter().any(|one| one == "169.254.0.0/16"), "{excepted:?}");
            let first = &mut policy["spec"]["egress"][1]["to"][0];
            if let Some(block) = first["ipBlock"].as_object_mut() {
                block.remove("except");
            } else {
                first.as_object_mut().unwrap().retain(|_, value| !value.is_null());
            }
            assert_eq!(*first, peer);
        }
    }

    #[test]
    fn an_exposed_session_is_open_to_everybody_at_its_agents_port_alone() {
        let policy = build(names::CONTROLLER_NAME, &[], Kind::Exposed);
        assert_eq!(
            policy["spec"]["ingress"],
            json!([{"ports": [{"protocol": "TCP", "port": 4444}]}])
        );
        assert_eq!(policy["spec"]["policyTypes"], json!(["Ingress"]));
        let selected = &policy["spec"]["podSelector"]["matchLabels"];
        assert_eq!(selected["browser-operator.io/exposed"], "true");
    }

    #[test]
    fn each_release_has_policies_of_its_own_for_its_own_pods() {
        let kind = Kind::Access(ClusterAccess::All);
        let theirs = build("example.com/second", &[], kind);
        let ours = build(names::CONTROLLER_NAME, &[], kind);
        assert_ne!(theirs["metadata"]["name"], ours["metadata"]["name"]);
        let label = &theirs["spec"]["podSelector"]["matchLabels"][names::CONTROLLER_LABEL];
        assert!(label.is_string(), "{theirs}");
        assert_eq!(theirs["spec"]["podSelector"]["matchExpressions"], json!(null));
        assert_eq!(*label, theirs["metadata"]["labels"][names::CONTROLLER_LABEL]);
    }

    #[test]
    fn a_pod_needs_the_policies_that_its_labels_name() {
        let of = |labels: &[(&str, &str)]| {
            let labels = labels.iter().map(|(name, value)| ((*name).into(), (*value).into()));
            Kind::of_pod(&labels.collect()).collect::<Vec<_>>()
        };
        assert_eq!(of(&[]), []);
        assert_eq!(of(&[(names::CLUSTER_ACCESS_LABEL, "some")]), []);
        let access = Kind::Access(ClusterAccess::None);
        assert_eq!(of(&[(names::CLUSTER_ACCESS_LABEL, "none")]), [access]);
        let both = [(names::CLUSTER_ACCESS_LABEL, "none"), (names::EXPOSED_LABEL, "true")];
        assert_eq!(of(&both), [access, Kind::Exposed]);
    }
}
