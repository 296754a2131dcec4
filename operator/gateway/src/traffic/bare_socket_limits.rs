//! How much of this replica's memory sockets without a session and the bodies of create calls may take together: where clients need no
//! credentials, they are anybody's. Each is counted for where it comes from, so that nobody has it all.

use std::{net::IpAddr, sync::Arc};

use net::places::{Full, Place, Places, Yielding};

/// How many there may be.
const MAX_SOCKETS: usize = 4096;
/// How many of them and of bodies may hold more than [`SMALL_BACKLOG`] bytes.
const MAX_LARGE: usize = 96;
/// Bytes of unanswered messages, or of a body, that each may hold.
pub const SMALL_BACKLOG: usize = 16 << 10;

pub struct BareSocketLimits {
    sockets: Arc<Places>,
    large: Arc<Places>,
}

impl Default for BareSocketLimits {
    fn default() -> Self {
        Self { sockets: Places::new(MAX_SOCKETS), large: Places::new(MAX_LARGE) }
    }
}

impl BareSocketLimits {
    /// The place of a socket. One that waits for no session may have to go for it.
    ///
    /// # Errors
    /// There are too many.
    pub fn acquire_socket(&self, origin: IpAddr) -> Result<Place, Full> {
        self.sockets.take(origin, Yielding::Idle)
    }

    /// Waits until another large body may be read.
    pub async fn large(&self, origin: IpAddr) -> Place {
        self.large.wait(origin, Yielding::IdleOfRicher).await
    }

    /// The place of what holds a large message or body. That of an origin which has more of them may have to go for it.
    ///
    /// # Errors
    /// There are too many.
    pub fn acquire_large(&self, origin: IpAddr) -> Result<Place, Full> {
        self.large.take(origin, Yielding::IdleOfRicher)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use net::activity::Phase;

    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    #[test]
    fn whoever_has_every_socket_and_every_large_body_keeps_nobody_out() {
        let limits = BareSocketLimits::default();
        let sockets: Vec<Place> =
            (0..2 * MAX_SOCKETS).filter_map(|_| limits.acquire_socket(A).ok()).collect();
        assert!(limits.acquire_socket(B).is_ok());
        assert!(sockets.iter().filter(|place| !place.close.is_cancelled()).count() <= MAX_SOCKETS);
        let large: Vec<Place> =
            (0..2 * MAX_LARGE).filter_map(|_| limits.acquire_large(A).ok()).collect();
        assert!(large.len() < MAX_LARGE, "{}", large.len());
        let of_b: Vec<Place> =
            (0..MAX_LARGE / 4).filter_map(|_| limits.acquire_large(B).ok()).collect();
        assert_eq!(of_b.len(), MAX_LARGE / 4);
    }

    #[test]
    fn a_socket_that_waits_for_its_session_does_not_go_for_another() {
        let limits = BareSocketLimits::default();
        let waiting = |_| {
            let place = limits.acquire_socket(A).ok()?;
            place.activity.set(Phase::Serving);
            Some(place)
        };
        let sockets: Vec<Place> = (0..MAX_SOCKETS).filter_map(waiting).collect();
        assert_eq!(limits.acquire_socket(A).unwrap_err(), Full::ForPeer);
        assert!(limits.acquire_socket(B).is_ok());
        assert!(sockets.iter().all(|place| !place.close.is_cancelled()));
    }
}
