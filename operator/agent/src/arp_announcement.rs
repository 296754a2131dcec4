//! Announces a new pod's link address to its neighbours.
//!
//! A pod's IP address was often another pod's before. On a node whose pods share a bridge, neighbours of the other pod still
//! send to its link address, and notice only after eight seconds (`delay_first_probe_time`, and three probes: arp(7)). Not
//! every network plugin announces the new address. A pod's first packet to its router does: it begins with an ARP broadcast,
//! by which neighbours update their tables (RFC 826, "Packet Reception").

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    path::Path,
};

/// Names the pod's name servers: addresses that every pod may send to, and that lie behind the router.
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// Nobody answers on this port (RFC 863).
const DISCARD: u16 = 9;

/// Sends one empty datagram to a name server. Nothing depends on it: clusters without such a bridge need no announcement.
pub fn send() {
    if let Err(error) = send_datagram(Path::new(RESOLV_CONF)) {
        tracing::debug!(error = &error as &dyn std::error::Error, "the pod is not announced");
    }
}

fn send_datagram(resolv_conf: &Path) -> io::Result<()> {
    let Some(server) = name_server(&std::fs::read_to_string(resolv_conf)?) else { return Ok(()) };
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.set_nonblocking(true)?;
    socket.send_to(&[], SocketAddr::new(server, DISCARD)).map(drop)
}

/// The first IPv4 name server (resolv.conf(5)): neighbours of IPv6 are not found by broadcasts.
fn name_server(resolv_conf: &str) -> Option<IpAddr> {
    resolv_conf.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let address = words.next().filter(|word| *word == "nameserver").and(words.next())?;
        address.parse().ok().filter(IpAddr::is_ipv4)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_name_server_of_ipv4_is_written_to() {
        for (text, expected) in [
            (
                "search a b\nnameserver 10.0.0.10\nnameserver 10.0.0.11\noptions ndots:5\n",
                "10.0.0.10",
            ),
            ("nameserver fd00::a\n  nameserver\t10.0.0.11 # second\n", "10.0.0.11"),
        ] {
            assert_eq!(name_server(text), Some(expected.parse().unwrap()), "{text}");
        }
        for text in ["", "# nameserver 10.0.0.10\n", "nameserver\n", "nameservers 10.0.0.10\n"] {
            assert_eq!(name_server(text), None, "{text}");
        }
    }
}
