//! What a connection does, and since when: told by its transport and its requests, read by whoever needs its place.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::Instant;

/// What a connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Its first request has not begun.
    New = 0,
    /// The headers of a request have begun.
    Reading = 1,
    /// A request is being answered, or the connection is a tunnel.
    Serving = 2,
    /// An answer is done, and the next request has not begun.
    Waiting = 3,
}

const PHASES: [Phase; 4] = [Phase::New, Phase::Reading, Phase::Serving, Phase::Waiting];
const PHASE_BITS: u32 = 2;

/// The phase of one connection, and its beginning in milliseconds after `origin`, in one word.
#[derive(Debug)]
pub struct Activity {
    origin: Instant,
    word: AtomicU64,
}

impl Activity {
    /// `origin` is the same for all connections of a server.
    pub fn new(origin: Instant) -> Self {
        let activity = Self { origin, word: AtomicU64::new(0) };
        activity.set(Phase::New);
        activity
    }

    pub fn set(&self, phase: Phase) {
        let since = self.origin.elapsed().as_millis() as u64;
        self.word.store(since << PHASE_BITS | phase as u64, Ordering::Relaxed);
    }

    pub fn phase(&self) -> Phase {
        PHASES[(self.word.load(Ordering::Relaxed) & 3) as usize]
    }

    /// When the phase began.
    pub fn since(&self) -> Instant {
        self.origin + Duration::from_millis(self.word.load(Ordering::Relaxed) >> PHASE_BITS)
    }

    /// Since when no request of this connection is being answered, in milliseconds after `origin`.
    pub fn idle_since(&self) -> Option<u64> {
        let word = self.word.load(Ordering::Relaxed);
        (word & 3 != Phase::Serving as u64).then_some(word >> PHASE_BITS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_but_while_it_is_served() {
        let activity = Activity::new(Instant::now());
        assert_eq!((activity.phase(), activity.idle_since()), (Phase::New, Some(0)));
        tokio::time::advance(Duration::from_secs(3)).await;
        for phase in [Phase::Reading, Phase::Waiting] {
            activity.set(phase);
            assert_eq!((activity.phase(), activity.idle_since()), (phase, Some(3000)));
        }
        activity.set(Phase::Serving);
        assert_eq!((activity.phase(), activity.idle_since()), (Phase::Serving, None));
        assert_eq!(activity.since(), Instant::now());
    }
}
