//! One answer for many who ask at the same time, none of which is older than its question.

use tokio::{sync::Mutex, time::Instant};

/// The answer that was asked for last, and when.
#[derive(Debug)]
pub struct Fresh<T>(Mutex<Option<(Instant, T)>>);

impl<T> Default for Fresh<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Fresh<T> {
    /// An answer that `ask` has begun to look for after this call: of many who wait, one asks for all.
    pub async fn get(&self, ask: impl Future<Output = T>) -> T {
        let called = Instant::now();
        let mut last = self.0.lock().await;
        if let Some((asked, answer)) = &*last
            && *asked > called
        {
            return answer.clone();
        }
        let asked = Instant::now();
        let answer = ask.await;
        *last = Some((asked, answer.clone()));
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicU32, Ordering},
        time::Duration,
    };

    use futures::future::join_all;
    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn whoever_asks_while_another_is_answered_shares_the_next_answer() {
        let (fresh, asked) = (Fresh::default(), AtomicU32::new(0));
        let get = |after: u64| {
            let (fresh, asked) = (&fresh, &asked);
            async move {
                sleep(Duration::from_millis(after)).await;
                fresh
                    .get(async {
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
}
