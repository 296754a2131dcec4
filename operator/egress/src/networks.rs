//! Networks with a meaning, and the addresses of IPv4 that those of IPv6 stand for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length))
}

const fn v6(segments: [u16; 8], length: u8) -> IpNet {
    let [a, b, c, d, e, f, g, h] = segments;
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), length))
}

pub(crate) const LOOPBACK: [IpNet; 2] = [v4(127, 0, 0, 0, 8), v6([0, 0, 0, 0, 0, 0, 0, 1], 128)];
pub(crate) const UNSPECIFIED: [IpNet; 2] = [v4(0, 0, 0, 0, 8), v6([0; 8], 128)];
pub(crate) const LINK_LOCAL: [IpNet; 3] = [
    v4(169, 254, 0, 0, 16),
    v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10),
    v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10),
];
/// Multicast, broadcast and what is reserved for neither.
pub(crate) const MULTICAST: [IpNet; 3] =
    [v4(224, 0, 0, 0, 4), v4(240, 0, 0, 0, 4), v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8)];
/// Where clouds tell a machine its credentials: of AWS, Google, Azure, Alibaba and Oracle, beside the link-local one of all.
pub(crate) const METADATA: [IpNet; 6] = [
    v4(169, 254, 169, 254, 32),
    v6([0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254], 128),
    v6([0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254], 128),
    v4(168, 63, 129, 16, 32),
    v4(100, 100, 100, 200, 32),
    v4(192, 0, 0, 192, 32),
];
/// What a cluster may be in, where nobody has said: RFC 1918, RFC 6598, RFC 4193.
pub(crate) const PRIVATE: [IpNet; 5] = [
    v4(10, 0, 0, 0, 8),
    v4(172, 16, 0, 0, 12),
    v4(192, 168, 0, 0, 16),
    v4(100, 64, 0, 0, 10),
    v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7),
];

/// The bytes at which addresses of these networks have one of IPv4, and whether it is inverted.
const EMBEDDING: [(IpNet, usize, bool); 7] = [
    // IPv4-compatible, mapped and translated (RFC 4291, RFC 2765).
    (v6([0; 8], 96), 12, false),
    (v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96), 12, false),
    (v6([0, 0, 0, 0, 0xffff, 0, 0, 0], 96), 12, false),
    // NAT64 (RFC 6052, RFC 8215).
    (v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96), 12, false),
    (v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48), 12, false),
    // 6to4 (RFC 3056), Teredo (RFC 4380).
    (v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), 2, false),
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32), 12, true),
];

/// The address, and the one of IPv4 that it stands for.
pub(crate) fn meanings(ip: IpAddr) -> impl Iterator<Item = IpAddr> {
    std::iter::once(ip).chain(embedded(ip).map(IpAddr::V4))
}

fn embedded(ip: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(v6) = ip else { return None };
    // These two are themselves.
    if v6.is_loopback() || v6.is_unspecified() {
        return None;
    }
    let (_, at, inverted) = EMBEDDING.iter().find(|(network, ..)| network.contains(&ip))?;
    let octets: [u8; 4] = v6.octets().get(*at..at + 4)?.try_into().ok()?;
    Some(Ipv4Addr::from(if *inverted { octets.map(|octet| !octet) } else { octets }))
}

/// What nobody's pages reach by any network: link-local addresses and clouds' metadata.
#[must_use]
pub fn closed_to_all() -> Vec<IpNet> {
    IpNet::aggregate(&[&LINK_LOCAL[..], &METADATA[..]].concat())
}

/// The same, and the cluster's networks; all private ones, where they are not known (`cluster` is empty).
#[must_use]
pub fn closed_to_world(cluster: &[IpNet]) -> Vec<IpNet> {
    let cluster = if cluster.is_empty() { &PRIVATE[..] } else { cluster };
    IpNet::aggregate(&[&closed_to_all()[..], cluster].concat())
}

pub(crate) fn contains(networks: &[IpNet], ip: IpAddr) -> bool {
    meanings(ip).any(|ip| networks.iter().any(|network| network.contains(&ip)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_ipv6_stands_for_one_of_ipv4() {
        for (ip, expected) in [
            ("::ffff:10.0.0.1", Some("10.0.0.1")),
            ("::10.0.0.1", Some("10.0.0.1")),
            ("::ffff:0:10.0.0.1", Some("10.0.0.1")),
            ("64:ff9b::10.0.0.1", Some("10.0.0.1")),
            ("64:ff9b:1::10.0.0.1", Some("10.0.0.1")),
            ("2002:0a00:0001::1", Some("10.0.0.1")),
            ("2001:0:1::f5ff:fffe", Some("10.0.0.1")),
            ("2001:db8::10.0.0.1", None),
            ("::1", None),
            ("::", None),
            ("10.0.0.1", None),
        ] {
            let expected = expected.map(|ip| ip.parse().unwrap());
            assert_eq!(embedded(ip.parse().unwrap()), expected, "{ip}");
        }
    }
}
