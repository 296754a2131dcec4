//! What is asked for again and again, and made once in a while.

use std::time::Duration;

use tokio::{sync::Mutex, time::Instant};

/// The last of something, for as long as it is fresh.
#[derive(Debug)]
pub struct Fresh<T>(Mutex<Option<(Instant, T)>>);

impl<T> Default for Fresh<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Fresh<T> {
    /// The last one, if it was made less than `within` ago; else a new one. One is made at a time: whoever comes meanwhile gets
    /// the same.
    pub async fn get(&self, within: Duration, make: impl Future<Output = T>) -> T {
        let mut last = self.0.lock().await;
        if let Some((made, value)) = &*last
            && made.elapsed() < within
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
        let (fresh, made) = (Fresh::default(), AtomicU32::new(0));
        let get = || {
            fresh.get(Duration::from_secs(1), async {
                tokio::time::sleep(Duration::from_secs(5)).await;
                made.fetch_add(1, Ordering::Relaxed)
            })
        };
        assert_eq!(tokio::join!(get(), get(), get()), (0, 0, 0));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(get().await, 1);
    }
}
