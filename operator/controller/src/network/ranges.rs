//! Where a cluster is, as its own objects say. Pure.

use std::net::IpAddr;

use ipnet::IpNet;
use k8s_openapi::api::{core::v1::Node, networking::v1::ServiceCIDR};

/// More networks than this would be too much for a NetworkPolicy and for every bind.
const MAX: usize = 128;

/// The networks of pods, Services and nodes; empty where the objects do not say, or say what cannot be: many network plugins
/// give addresses that no Node tells of. `own`: addresses of a pod, which must be among them.
pub fn ranges<'a>(
    nodes: impl Iterator<Item = &'a Node>,
    services: impl Iterator<Item = &'a ServiceCIDR>,
    own: &[IpAddr],
) -> Vec<IpNet> {
    known(nodes, services, own).unwrap_or_default()
}

fn known<'a>(
    nodes: impl Iterator<Item = &'a Node>,
    services: impl Iterator<Item = &'a ServiceCIDR>,
    own: &[IpAddr],
) -> Option<Vec<IpNet>> {
    let mut networks = Vec::new();
    for node in nodes {
        let pods = node.spec.as_ref()?.pod_cidrs.as_ref().filter(|pods| !pods.is_empty())?;
        for network in pods {
            networks.push(network.parse().ok()?);
        }
        let addresses = node.status.iter().flat_map(|status| status.addresses.iter().flatten());
        // Beside addresses it has names.
        networks
            .extend(addresses.filter_map(|a| a.address.parse::<IpAddr>().ok()).map(IpNet::from));
    }
    let mut has_services = false;
    let specs = services.filter_map(|services| services.spec.as_ref());
    for network in specs.flat_map(|spec| spec.cidrs.iter().flatten()) {
        networks.push(network.parse().ok()?);
        has_services = true;
    }
    let networks = IpNet::aggregate(&networks);
    let has_own = own.iter().all(|ip| networks.iter().any(|network| network.contains(ip)));
    (has_services && !own.is_empty() && has_own && networks.len() <= MAX).then_some(networks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn node(pods: &[&str], address: &str) -> Node {
        serde_json::from_value(json!({
            "spec": {"podCIDRs": pods},
            "status": {"addresses": [
                {"type": "InternalIP", "address": address}, {"type": "Hostname", "address": "n"},
            ]},
        }))
        .unwrap()
    }

    fn services(networks: &[&str]) -> ServiceCIDR {
        serde_json::from_value(json!({"spec": {"cidrs": networks}})).unwrap()
    }

    fn found(nodes: &[Node], services: &[ServiceCIDR], own: &str) -> Vec<String> {
        let networks = ranges(nodes.iter(), services.iter(), &[own.parse().unwrap()]);
        networks.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_cluster_is_its_pods_its_services_and_its_nodes() {
        let nodes = [
            node(&["10.1.0.0/24", "fd00:1::/64"], "203.0.113.1"),
            node(&["10.1.1.0/24", "fd00:1:0:1::/64"], "203.0.113.9"),
        ];
        let services = [services(&["10.96.0.0/12", "fd00:2::/112"])];
        assert_eq!(
            found(&nodes, &services, "10.1.1.7"),
            [
                "10.1.0.0/23",
                "10.96.0.0/12",
                "203.0.113.1/32",
                "203.0.113.9/32",
                "fd00:1::/63",
                "fd00:2::/112"
            ]
        );
    }

    #[test]
    fn where_the_objects_do_not_say_it_or_are_wrong_nothing_is_known() {
        let one = [node(&["10.1.0.0/24"], "203.0.113.1")];
        let two = [one[0].clone(), node(&[], "203.0.113.2")];
        let known = [services(&["10.96.0.0/12"])];
        for (nodes, services, own, why) in [
            (&[][..], &known[..], "10.1.0.7", "no node"),
            (&two, &known, "10.1.0.7", "a node without a range"),
            (&one, &[], "10.1.0.7", "no ServiceCIDR"),
            (&one, &known, "192.168.3.4", "pods have other addresses than their nodes say"),
        ] {
            assert!(found(nodes, services, own).is_empty(), "{why}");
        }
        let many: Vec<Node> =
            (0..200).map(|n| node(&[&format!("10.{n}.0.0/24")], "203.0.113.1")).collect();
        assert!(found(&many, &known, "10.0.0.7").is_empty(), "too many");
    }
}
