//! Back-off: pauses that grow, with jitter, so that many who failed together do not try again together.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

/// How the pauses after failures grow: each is about twice the one before it.
#[derive(Clone, Copy, Debug)]
pub struct Backoff(ExponentialBuilder);

impl Backoff {
    /// The first pause is between `first` and twice that; none is longer than `longest`.
    #[must_use]
    pub const fn new(first: Duration, longest: Duration) -> Self {
        let half = Duration::from_nanos(longest.as_nanos() as u64 / 2);
        // The jitter of a pause is at most the pause itself.
        let builder = ExponentialBuilder::new().with_min_delay(first).with_max_delay(half);
        Self(builder.with_jitter().without_max_times())
    }

    /// The pauses, one after the other, without an end.
    #[must_use]
    pub fn pauses(self) -> Pauses {
        Pauses { settings: self, pauses: self.0.build() }
    }

    /// The pause after so many failures in a row; after none as after one.
    #[must_use]
    pub fn after(self, failures: u32) -> Duration {
        let index = failures.saturating_sub(1).min(MAX_DOUBLINGS) as usize;
        self.0.build().nth(index).unwrap_or(Duration::MAX)
    }
}

/// After so many doublings every pause here is at its longest.
const MAX_DOUBLINGS: u32 = 32;

/// The pauses of one series of failures.
#[derive(Debug)]
pub struct Pauses {
    settings: Backoff,
    pauses: ExponentialBackoff,
}

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.pauses.next()
    }
}

impl kube::runtime::utils::Backoff for Pauses {
    fn reset(&mut self) {
        self.pauses = self.settings.0.build();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::runtime::utils::Backoff as _;

    const BACKOFF: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));

    #[test]
    fn pauses_grow_to_the_longest_and_begin_anew() {
        let mut pauses = BACKOFF.pauses();
        for _ in 0..2 {
            for least in [100, 200, 400, 800, 1000, 1000] {
                let pause = pauses.next().unwrap().as_millis();
                assert!((least..=2 * least).contains(&pause), "{pause} after {least}");
            }
            pauses.reset();
        }
    }

    #[test]
    fn a_pause_can_be_asked_for_by_the_number_of_failures() {
        for (failures, least) in [(0, 100), (1, 100), (3, 400), (9, 1000), (u32::MAX, 1000)] {
            let pause = BACKOFF.after(failures).as_millis();
            assert!((least..=2 * least).contains(&pause), "{pause} after {failures}");
        }
    }

    #[test]
    fn no_two_series_pause_alike() {
        let series = || BACKOFF.pauses().take(8).collect::<Vec<_>>();
        assert_ne!(series(), series());
    }
}
