//! Hosts as URLs name them.

/// An address and a port; one of IPv6 stands in brackets.
#[must_use]
pub fn authority(ip: &str, port: u16) -> String {
    if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") }
}
