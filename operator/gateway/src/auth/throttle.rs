//! How often somebody may make this gateway ask the API server in vain.

use std::{hash::Hash, time::Duration};

use quick_cache::sync::{Cache, EntryAction};
use tokio::time::Instant;

/// How many questions may come at once,
const BURST: u32 = 64;
/// and how long it takes until another one may.
const PAUSE: Duration = Duration::from_millis(200);
/// Of how many it is known; the ones that are not heard of go first.
const CAPACITY: usize = 8192;

/// A token bucket for each who asks, as the time at which it is full again (the generic cell rate algorithm).
pub struct Throttle<K>(Cache<K, Instant>);

impl<K: Clone + Eq + Hash> Throttle<K> {
    pub fn new() -> Self {
        Self(Cache::new(CAPACITY))
    }

    /// Takes one question of those that `who` may ask.
    ///
    /// # Errors
    /// After how long there is one.
    pub fn take(&self, who: &K, now: Instant) -> Result<(), Duration> {
        let mut taken = Ok(());
        self.change(who, now, |full_at| {
            taken = take(full_at, now).map(|later| *full_at = later);
        });
        taken
    }

    /// Gives one back: it was not in vain.
    pub fn give_back(&self, who: &K, now: Instant) {
        self.change(who, now, |full_at| *full_at = full_at.checked_sub(PAUSE).unwrap_or(now));
    }

    fn change(&self, who: &K, now: Instant, change: impl FnOnce(&mut Instant)) {
        let mut change = Some(change);
        let known = self.0.entry(who, None, |_, full_at| {
            if let Some(change) = change.take() {
                change(full_at);
            }
            EntryAction::Retain(())
        });
        if let quick_cache::sync::EntryResult::Vacant(place) = known {
            let mut full_at = now;
            if let Some(change) = change.take() {
                change(&mut full_at);
            }
            // It fails only where the entry was removed meanwhile.
            let _ = place.insert(full_at);
        }
    }
}

/// When a bucket that is full at `full_at` is full again after one more was taken.
fn take(full_at: &Instant, now: Instant) -> Result<Instant, Duration> {
    let later = (*full_at).max(now) + PAUSE;
    match (later - now).checked_sub(PAUSE * BURST) {
        None | Some(Duration::ZERO) => Ok(later),
        Some(wait) => Err(wait),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_one_at_a_time() {
        let (throttle, now) = (Throttle::new(), Instant::now());
        for _ in 0..BURST {
            assert_eq!(throttle.take(&"peer", now), Ok(()));
        }
        assert_eq!(throttle.take(&"peer", now), Err(PAUSE));
        assert_eq!(throttle.take(&"neighbour", now), Ok(()));
        assert_eq!(throttle.take(&"peer", now + PAUSE), Ok(()));
        assert_eq!(throttle.take(&"peer", now + PAUSE), Err(PAUSE));
        throttle.give_back(&"peer", now + PAUSE);
        assert_eq!(throttle.take(&"peer", now + PAUSE), Ok(()));
        let rested = now + PAUSE * BURST * 10;
        let burst = (0..2 * BURST).filter(|_| throttle.take(&"peer", rested).is_ok()).count();
        assert_eq!(burst, BURST as usize);
    }

    #[test]
    fn what_is_known_of_them_is_bounded() {
        let (throttle, now) = (Throttle::new(), Instant::now());
        for peer in 0..4 * CAPACITY {
            assert_eq!(throttle.take(&peer, now), Ok(()));
        }
        assert!(throttle.0.len() <= CAPACITY);
    }
}
