//! How many connections there may be, and which goes when there are too many: of the peer that has the most, the one that
//! has been idle for the longest.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::activity::Activity;
use crate::tcp::network_of;

/// A peer that holds one of so many places gets no other while none is free.
const FAIR_PART: usize = 4;

/// The places of one server.
#[derive(Debug)]
pub struct Places {
    limit: usize,
    held: Mutex<Held>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Held {
    last: u64,
    by_number: HashMap<u64, Holder>,
    of_peer: HashMap<IpAddr, usize>,
}

#[derive(Debug)]
struct Holder {
    peer: IpAddr,
    activity: Arc<Activity>,
    close: CancellationToken,
}

/// The right to be served, until it is dropped.
#[derive(Debug)]
pub struct Place {
    places: Arc<Places>,
    number: u64,
    /// Cancelled when another connection needs the place.
    pub close: CancellationToken,
}

/// Why there is no place: every connection's request is being answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// The peer has its part already.
    ForPeer,
    ForAll,
}

impl Places {
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, held: Mutex::default(), freed: Notify::new() })
    }

    /// A place for a peer's connection. An idle connection may have to go for it.
    pub fn take(self: &Arc<Self>, peer: IpAddr, activity: &Arc<Activity>) -> Result<Place, Full> {
        let peer = network_of(peer);
        let held = &mut *self.held.lock();
        if held.by_number.len() >= self.limit {
            let idle = held.by_number.iter().filter_map(|(number, holder)| {
                let since = holder.activity.idle_since()?;
                Some(Idle { number: *number, since, of_peer: held.of_peer[&holder.peer] })
            });
            let Some(number) = victim(idle) else {
                let of_peer = held.of_peer.get(&peer).copied().unwrap_or_default();
                let has_its_part = of_peer > 0 && of_peer >= self.limit / FAIR_PART;
                return Err(if has_its_part { Full::ForPeer } else { Full::ForAll });
            };
            if let Some(holder) = held.remove(number) {
                holder.close.cancel();
            }
        }
        held.last += 1;
        let (number, close) = (held.last, CancellationToken::new());
        *held.of_peer.entry(peer).or_default() += 1;
        let holder = Holder { peer, activity: activity.clone(), close: close.clone() };
        held.by_number.insert(number, holder);
        Ok(Place { places: self.clone(), number, close })
    }

    /// Waits until a connection ends, where none is idle.
    pub async fn freed(&self) {
        self.freed.notified().await;
    }
}

impl Held {
    fn remove(&mut self, number: u64) -> Option<Holder> {
        let holder = self.by_number.remove(&number)?;
        if let Some(count) = self.of_peer.get_mut(&holder.peer) {
            *count -= 1;
            if *count == 0 {
                self.of_peer.remove(&holder.peer);
            }
        }
        Some(holder)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.held.lock().remove(self.number);
        self.places.freed.notify_one();
    }
}

/// A connection that may go.
#[derive(Clone, Copy, Debug)]
struct Idle {
    number: u64,
    since: u64,
    /// How many connections its peer has.
    of_peer: usize,
}

fn victim(idle: impl Iterator<Item = Idle>) -> Option<u64> {
    idle.min_by_key(|idle| (std::cmp::Reverse(idle.of_peer), idle.since, idle.number))
        .map(|idle| idle.number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::activity::Phase;
    use tokio::time::Instant;

    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    struct Case {
        places: Arc<Places>,
        origin: Instant,
    }

    impl Case {
        fn new(limit: usize) -> Self {
            Self { places: Places::new(limit), origin: Instant::now() }
        }

        fn take(&self, peer: IpAddr, phase: Phase) -> Result<Place, Full> {
            let activity = Arc::new(Activity::new(self.origin));
            activity.set(phase);
            self.places.take(peer, &activity)
        }
    }

    #[test]
    fn the_peer_with_the_most_connections_loses_the_one_that_is_idle_longest() {
        let idle = |number, since, of_peer| Idle { number, since, of_peer };
        let all = [idle(1, 10, 1), idle(2, 30, 2), idle(3, 20, 2)];
        assert_eq!(victim(all.into_iter()), Some(3));
        assert_eq!(victim([idle(2, 5, 1), idle(1, 5, 1)].into_iter()), Some(1));
        assert_eq!(victim(std::iter::empty()), None);
    }

    #[tokio::test]
    async fn idle_connections_of_one_peer_keep_nobody_out() {
        let case = Case::new(4);
        let of_b = case.take(B, Phase::Waiting).unwrap();
        let of_a: Vec<Place> =
            [Phase::New, Phase::Reading, Phase::Serving].map(|p| case.take(A, p).unwrap()).into();
        let _late = case.take(B, Phase::New).unwrap();
        let closed: Vec<bool> = of_a.iter().map(|place| place.close.is_cancelled()).collect();
        assert_eq!(
            (closed.as_slice(), of_b.close.is_cancelled()),
            (&[true, false, false][..], false)
        );
        // Its place is another's already: giving it back frees none.
        drop(of_a);
        assert_eq!(case.places.held.lock().by_number.len(), 2);
    }

    #[tokio::test]
    async fn where_all_are_served_a_peer_with_its_part_is_refused_and_others_wait() {
        let case = Case::new(4);
        let places = [A, A, A, A].map(|peer| case.take(peer, Phase::Serving).unwrap());
        assert_eq!(case.take(A, Phase::New).unwrap_err(), Full::ForPeer);
        assert_eq!(case.take(B, Phase::New).unwrap_err(), Full::ForAll);
        drop(places);
        case.places.freed().await;
        assert!(case.take(B, Phase::New).is_ok());
        assert!(case.places.held.lock().of_peer.is_empty());
    }
}
