//! How many of a kind there may be (connections, sockets, bodies), and which goes when there are too many: of the peer that has
//! the most, the one that has been idle for the longest.

use std::{collections::HashMap, hash::Hash, net::IpAddr, pin::pin, sync::Arc};

use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::activity::Activity;

/// A peer that holds one of so many places has its part: it gets no other while none is free,
const FAIR_PART: usize = 4;
/// nor one of the last, of which there is one in so many: they are for peers that have less.
const RESERVED_PART: usize = 8;

/// The places of one kind. Peers are networks ([`crate::tcp::network_of`]), or whoever else shares them.
#[derive(Debug)]
pub struct Places<P = IpAddr> {
    limit: usize,
    origin: Instant,
    held: Mutex<Held<P>>,
    freed: Notify,
}

#[derive(Debug)]
struct Held<P> {
    last: u64,
    by_number: HashMap<u64, Holder<P>>,
    of_peer: HashMap<P, usize>,
}

#[derive(Debug)]
struct Holder<P> {
    peer: P,
    activity: Arc<Activity>,
    close: CancellationToken,
}

/// The right to be served, until it is dropped.
#[derive(Debug)]
pub struct Place<P: Eq + Hash = IpAddr> {
    places: Arc<Places<P>>,
    number: u64,
    /// What its holder tells of itself.
    pub activity: Arc<Activity>,
    /// Cancelled when another needs the place.
    pub close: CancellationToken,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// The peer has its part already.
    ForPeer,
    ForAll,
}

/// Who has to go for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Yielding {
    /// Whatever is idle: it loses nothing.
    Idle,
    /// What is idle of a peer that has more than the other: it is cut off amid its work.
    IdleOfRicher,
}

impl<P: Clone + Eq + Hash> Places<P> {
    #[must_use]
    pub fn new(limit: usize) -> Arc<Self> {
        let held = Held { last: 0, by_number: HashMap::new(), of_peer: HashMap::new() };
        let (held, freed) = (Mutex::new(held), Notify::new());
        Arc::new(Self { limit, origin: Instant::now(), held, freed })
    }

    /// A place for a peer. What is idle may have to go for it.
    ///
    /// # Errors
    /// There is none.
    pub fn take(self: &Arc<Self>, peer: P, yielding: Yielding) -> Result<Place<P>, Full> {
        let held = &mut *self.held.lock();
        let own = held.of_peer.get(&peer).copied().unwrap_or_default();
        let has_its_part = own > 0 && own >= self.limit / FAIR_PART;
        let is_full = held.by_number.len() >= self.limit;
        let only_reserved = held.by_number.len() >= self.limit - self.limit / RESERVED_PART;
        if is_full || has_its_part && only_reserved {
            let idle = held.by_number.iter().filter_map(|(number, holder)| {
                let of_peer = held.of_peer[&holder.peer];
                let may_go = match yielding {
                    Yielding::Idle => is_full || holder.peer == peer,
                    Yielding::IdleOfRicher => of_peer > own + 1,
                };
                let since = holder.activity.idle_since().filter(|_| may_go)?;
                Some(Idle { number: *number, since, of_peer })
            });
            let Some(number) = victim(idle) else {
                return Err(if has_its_part { Full::ForPeer } else { Full::ForAll });
            };
            if let Some(holder) = held.remove(number) {
                holder.close.cancel();
            }
        }
        held.last += 1;
        let (number, close) = (held.last, CancellationToken::new());
        let activity = Arc::new(Activity::new(self.origin));
        *held.of_peer.entry(peer.clone()).or_default() += 1;
        let holder = Holder { peer, activity: activity.clone(), close: close.clone() };
        held.by_number.insert(number, holder);
        Ok(Place { places: self.clone(), number, activity, close })
    }

    /// Waits for a place.
    pub async fn wait(self: &Arc<Self>, peer: P, yielding: Yielding) -> Place<P> {
        loop {
            let mut freed = pin!(self.freed.notified());
            // Before it looks, so that none is given back unseen in between.
            freed.as_mut().enable();
            match self.take(peer.clone(), yielding) {
                Ok(place) => return place,
                Err(_) => freed.await,
            }
        }
    }

    /// Waits until one is given back.
    pub async fn freed(&self) {
        self.freed.notified().await;
    }
}

impl<P: Eq + Hash> Held<P> {
    fn remove(&mut self, number: u64) -> Option<Holder<P>> {
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

impl<P: Eq + Hash> Drop for Place<P> {
    fn drop(&mut self) {
        self.places.held.lock().remove(self.number);
        // All of them: the first that waits may have its part already. And whoever is about to wait.
        self.places.freed.notify_waiters();
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
    use futures::poll;

    use super::*;
    use crate::activity::Phase;

    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));
    const C: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 3));

    fn take(places: &Arc<Places>, peer: IpAddr, phase: Phase) -> Result<Place, Full> {
        let place = places.take(peer, Yielding::Idle)?;
        place.activity.set(phase);
        Ok(place)
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
        let places = Places::<IpAddr>::new(4);
        let of_b = take(&places, B, Phase::Waiting).unwrap();
        let of_a: Vec<Place> = [Phase::New, Phase::Reading, Phase::Serving]
            .map(|phase| take(&places, A, phase).unwrap())
            .into();
        let _late = take(&places, B, Phase::New).unwrap();
        let closed: Vec<bool> = of_a.iter().map(|place| place.close.is_cancelled()).collect();
        assert_eq!(
            (closed.as_slice(), of_b.close.is_cancelled()),
            (&[true, false, false][..], false)
        );
        // Its place is another's already: giving it back frees none.
        drop(of_a);
        assert_eq!(places.held.lock().by_number.len(), 2);
    }

    #[tokio::test]
    async fn where_all_are_served_a_peer_with_its_part_is_refused_and_others_wait() {
        let places = Places::<IpAddr>::new(4);
        let held = [A, A, A, A].map(|peer| take(&places, peer, Phase::Serving).unwrap());
        assert_eq!(take(&places, A, Phase::New).unwrap_err(), Full::ForPeer);
        assert_eq!(take(&places, B, Phase::New).unwrap_err(), Full::ForAll);
        drop(held);
        places.freed().await;
        assert!(take(&places, B, Phase::New).is_ok());
        assert!(places.held.lock().of_peer.is_empty());
    }

    #[tokio::test]
    async fn a_place_that_the_first_who_waits_may_not_take_is_the_nexts() {
        let places = Places::<IpAddr>::new(16);
        let take = |peer| take(&places, peer, Phase::Serving).unwrap();
        let (_of_a, of_c) = ([A; 14].map(take), [C; 2].map(take));
        let mut a = pin!(places.wait(A, Yielding::Idle));
        let mut b = pin!(places.wait(B, Yielding::Idle));
        assert!(poll!(&mut a).is_pending() && poll!(&mut b).is_pending());
        let [first, _second] = of_c;
        drop(first);
        assert!(poll!(&mut b).is_ready());
        assert!(poll!(&mut a).is_pending());
    }

    #[test]
    fn the_last_places_are_for_peers_that_have_few() {
        let places = Places::<IpAddr>::new(16);
        let held: Vec<Place> = (0..14).map(|_| take(&places, A, Phase::Serving).unwrap()).collect();
        assert_eq!(take(&places, A, Phase::New).unwrap_err(), Full::ForPeer);
        let _of_b = take(&places, B, Phase::Serving).unwrap();
        // One that is idle goes for its own peer, and no other's does.
        held[3].activity.set(Phase::Waiting);
        assert!(take(&places, A, Phase::New).is_ok());
        assert!(held[3].close.is_cancelled());
        assert!(take(&places, B, Phase::Serving).is_ok());
    }

    #[test]
    fn work_is_cut_off_only_of_who_has_more() {
        let places = Places::<IpAddr>::new(4);
        let take = |peer| places.take(peer, Yielding::IdleOfRicher);
        let of_a = [A, A, A, A].map(|peer| take(peer).unwrap());
        assert_eq!(take(A).unwrap_err(), Full::ForPeer);
        let first = take(B).unwrap();
        assert!(of_a[0].close.is_cancelled());
        let second = take(B).unwrap();
        assert!(of_a[1].close.is_cancelled());
        // They have as many as each other.
        assert_eq!(take(B).unwrap_err(), Full::ForPeer);
        assert!(!first.close.is_cancelled() && !second.close.is_cancelled());
    }
}
