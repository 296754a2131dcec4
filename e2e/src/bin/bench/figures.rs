//! Many measured times, in a few numbers.

use std::time::Duration;

pub struct Times(Vec<Duration>);

impl Times {
    /// `times` must not be empty.
    pub fn new(mut times: Vec<Duration>) -> Self {
        times.sort();
        Self(times)
    }

    pub fn percentile(&self, percent: usize) -> Duration {
        self.0[(self.0.len() * percent / 100).min(self.0.len() - 1)]
    }

    pub fn median(&self) -> Duration {
        self.percentile(50)
    }

    /// The first, the one in the middle, and the last, in milliseconds.
    pub fn milliseconds(&self) -> [u128; 3] {
        [self.0[0], self.median(), self.0[self.0.len() - 1]].map(|time| time.as_millis())
    }
}

pub fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

pub fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
