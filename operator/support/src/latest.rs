//! One answer for many who ask for the same, and which is expensive to find.

use std::time::Duration;

use tokio::{sync::Mutex, time::Instant};

/// The answer that was found last. One is looked for at a time, and everybody who waits for it gets it.
#[derive(Debug)]
pub struct Latest<T>(Mutex<Option<Answer<T>>>);

#[derive(Debug)]
struct Answer<T> {
    asked: Instant,
    found: Instant,
    value: T,
}

impl<T> Default for Latest<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Latest<T> {
    /// An answer that `ask` has begun to look for after this call.
    pub async fn fresh(&self, ask: impl Future<Output = T>) -> T {
        let called = Instant::now();
        self.get(|last| last.asked > called, ask).await
    }

    /// The last answer, if it was found less than `ttl` ago; else a new one.
    pub async fn recent(&self, ttl: Duration, ask: impl Future<Output = T>) -> T {
        self.get(|last| last.found.elapsed() < ttl, ask).await
    }

    async fn get(
        &self,
        is_good: impl FnOnce(&Answer<T>) -> bool,
        ask: impl Future<Output = T>,
    ) -> T {
        let mut last = self.0.lock().await;
        if let Some(last) = &*last
            && is_good(last)
        {
            return last.value.clone();
        }
        let asked = Instant::now();
        let value = ask.await;
        *last = Some(Answer { asked, found: Instant::now(), value: value.clone() });
        value
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures::future::join_all;
    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn whoever_asks_while_another_is_answered_shares_the_next_answer() {
        let (latest, asked) = (Latest::default(), AtomicU32::new(0));
        let get = |after: u64| {
            let (latest, asked) = (&latest, &asked);
            async move {
                sleep(Duration::from_millis(after)).await;
                latest
                    .fresh(async {
                        let number = asked.fetch_add(1, Ordering::Relaxed);
                        sleep(Duration::from_secs(1)).await;
                        number
                    })
                    .await
            }
        };
        let answers = join_all((0..100).map(get)).await;
        assert_eq!((answers[0], &answers[1..]), (0, &[1; 99][..]));
        assert_eq!(get(0).await, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_comes_within_its_time_gets_the_same() {
        let (latest, asked) = (Latest::default(), AtomicU32::new(0));
        let get = || {
            latest.recent(Duration::from_secs(1), async {
                sleep(Duration::from_secs(5)).await;
                asked.fetch_add(1, Ordering::Relaxed)
            })
        };
        assert_eq!(tokio::join!(get(), get(), get()), (0, 0, 0));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(get().await, 1);
    }
}
