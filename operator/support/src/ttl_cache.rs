//! One value that many ask for and that is expensive to make.

use std::time::Duration;

use tokio::{sync::Mutex, time::Instant};

/// The value that was made last.
#[derive(Debug)]
pub struct TtlCache<T>(Mutex<Option<(Instant, T)>>);

impl<T> Default for TtlCache<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> TtlCache<T> {
    /// The last value, if it was made less than `ttl` ago; else a new one. One is made at a time, and everybody who waits for
    /// it gets it.
    pub async fn get(&self, ttl: Duration, make: impl Future<Output = T>) -> T {
        let mut last = self.0.lock().await;
        if let Some((made, value)) = &*last
            && made.elapsed() < ttl
        {
            return value.clone();
        }
        let value = make.await;
        *last = Some((Instant::now(), value.clone()));
        value
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn whoever_comes_meanwhile_gets_the_same() {
        let (cache, made) = (TtlCache::default(), AtomicU32::new(0));
        let get = || {
            cache.get(Duration::from_secs(1), async {
                tokio::time::sleep(Duration::from_secs(5)).await;
                made.fetch_add(1, Ordering::Relaxed)
            })
        };
        assert_eq!(tokio::join!(get(), get(), get()), (0, 0, 0));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(get().await, 1);
    }
}
