//! Reproducible random numbers.

use std::time::Duration;

/// SplitMix64: good enough for choices, and the same everywhere.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Streams of one seed are independent: drawing from one does not move the others.
    #[must_use]
    pub fn of(seed: u64, stream: u64) -> Self {
        let mut mixer = Self(seed ^ stream.wrapping_mul(0xd134_2543_de82_ef95));
        Self(mixer.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`; 0 if that is 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    /// True in so many of a hundred cases.
    pub fn percent(&mut self, often: u64) -> bool {
        self.below(100) < often
    }

    /// A random element; `None` if there is none.
    pub fn pick<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        all.get(usize::try_from(self.below(all.len() as u64)).unwrap_or(0))
    }

    /// Removes a random element; `None` if there is none.
    pub fn take<T>(&mut self, all: &mut Vec<T>) -> Option<T> {
        let place = self.below(all.len() as u64);
        let place = usize::try_from(place).ok().filter(|place| *place < all.len());
        place.map(|place| all.swap_remove(place))
    }

    /// A duration between the two, in milliseconds.
    pub fn between(&mut self, shortest: u64, longest: u64) -> Duration {
        Duration::from_millis(shortest + self.below(longest.saturating_sub(shortest) + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_and_its_streams_differ() {
        let drawn = |seed, stream| {
            let mut random = Random::of(seed, stream);
            [(); 8].map(|()| random.below(1000))
        };
        assert_eq!(drawn(7, 1), drawn(7, 1));
        assert_ne!(drawn(7, 1), drawn(7, 2));
        assert_ne!(drawn(7, 1), drawn(8, 1));
    }

    #[test]
    fn everything_is_drawn_sooner_or_later() {
        let mut random = Random::of(1, 1);
        let mut seen = [0_u32; 5];
        for _ in 0..1000 {
            seen[random.below(5) as usize] += 1;
        }
        assert!(seen.iter().all(|times| (100..300).contains(times)), "{seen:?}");
        assert_eq!(random.pick::<u8>(&[]), None);
        let mut all = vec![1, 2];
        let mut taken = [(); 3].map(|()| random.take(&mut all));
        taken.sort_unstable();
        assert_eq!(taken, [None, Some(1), Some(2)]);
        let pause = random.between(5, 6).as_millis();
        assert!((5..=6).contains(&pause));
    }
}
