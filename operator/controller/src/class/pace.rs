//! How often a class's status is written: thousands of sessions come and go, and each changes its counts.

use std::{collections::HashMap, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

/// How long a change waits for others to come with it.
const SETTLE: Duration = Duration::from_millis(500);
/// The least time between two writes.
const EVERY: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
pub struct Pace(Mutex<HashMap<String, Times>>);

#[derive(Debug, Default)]
struct Times {
    written: Option<Instant>,
    /// When what has changed since may be written.
    due: Option<Instant>,
}

impl Pace {
    /// How long a class that has changed must wait; `None`: it may be written now.
    pub fn wait(&self, class: &str, now: Instant) -> Option<Duration> {
        let mut all = self.0.lock();
        let Times { written, due } = all.entry(class.to_owned()).or_default();
        let settled = now + SETTLE;
        let next =
            *due.get_or_insert_with(|| written.map_or(settled, |at| settled.max(at + EVERY)));
        let left = next.saturating_duration_since(now);
        if left.is_zero() {
            *due = None;
            return None;
        }
        Some(left)
    }

    pub fn wrote(&self, class: &str, now: Instant) {
        self.0.lock().entry(class.to_owned()).or_default().written = Some(now);
    }

    /// The class is gone.
    pub fn forget(&self, class: &str) {
        self.0.lock().remove(class);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_thousand_changes_in_a_minute_are_a_dozen_writes() {
        let (pace, begun) = (Pace::default(), Instant::now());
        let mut writes = Vec::new();
        for change in 0..2000_u64 {
            let now = begun + Duration::from_millis(change * 30);
            if pace.wait("c", now).is_none() {
                pace.wrote("c", now);
                writes.push(now.duration_since(begun));
            }
        }
        assert!((10..=13).contains(&writes.len()), "{writes:?}");
        assert!(writes.windows(2).all(|pair| pair[1] - pair[0] >= EVERY), "{writes:?}");
    }

    #[test]
    fn a_single_change_waits_for_a_moment_and_no_other_class_for_it() {
        let (pace, begun) = (Pace::default(), Instant::now());
        assert_eq!(pace.wait("c", begun), Some(SETTLE));
        assert_eq!(pace.wait("c", begun + SETTLE), None);
        pace.wrote("c", begun + SETTLE);
        assert_eq!(pace.wait("c", begun + SETTLE), Some(EVERY));
        assert_eq!(pace.wait("d", begun + SETTLE), Some(SETTLE));
        assert_eq!(pace.wait("c", begun + SETTLE + EVERY), None);
        // It was not written, as nothing had changed after all: the next change waits for a moment alone.
        assert_eq!(pace.wait("c", begun + SETTLE + EVERY * 2), Some(SETTLE));
    }
}
