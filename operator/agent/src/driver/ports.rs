//! The port that a driver listens on: one that no browser opens.

use std::net::{Ipv4Addr, TcpListener};

/// "Bad ports" of the Fetch standard (section "Port blocking") that both browsers know. They refuse to connect to one from
/// a page, a socket or a navigation, whatever name stands for the address and whatever headers a request has.
pub const PORTS: [u16; 9] = [6667, 6668, 6669, 6665, 6666, 6697, 10080, 6566, 5061];

/// Why a driver cannot be started.
#[derive(Debug, thiserror::Error)]
#[error("none of the ports that browsers do not open is free for the driver: {PORTS:?}")]
pub struct NoPort;

/// The first that nobody else in this pod has.
pub fn choose() -> Result<u16, NoPort> {
    first_free(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok())
}

fn first_free(is_free: impl Fn(u16) -> bool) -> Result<u16, NoPort> {
    PORTS.into_iter().find(|port| is_free(*port)).ok_or(NoPort)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_is_free_is_taken() {
        assert_eq!(first_free(|port| port != 6667).unwrap(), 6668);
        assert!(first_free(|_| false).is_err());
    }
}
