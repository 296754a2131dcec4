//! Answers of the API server that are believed for a few seconds: as many as fit, each asked for once at a time.

use std::{hash::Hash, time::Duration};

use quick_cache::sync::{Cache, EntryAction, EntryResult};
use tokio::time::Instant;

/// Answers by what was asked.
pub struct Decisions<K, V>(Cache<K, Believed<V>>);

#[derive(Clone)]
struct Believed<V> {
    answer: V,
    until: Instant,
}

impl<K: Clone + Eq + Hash, V: Clone> Decisions<K, V> {
    /// Keeps at most so many; the ones that nobody asks for go first.
    pub fn new(capacity: usize) -> Self {
        Self(Cache::new(capacity))
    }

    /// The answer that is believed, else what `ask` returns, with how long it is believed. Whoever asks the same meanwhile waits
    /// for it. What is no answer is nobody else's.
    pub async fn get<E>(
        &self,
        question: &K,
        ask: impl Future<Output = Result<(V, Duration), E>>,
    ) -> Result<V, E> {
        let now = Instant::now();
        let known = self.0.entry_async(question, |_, believed| {
            // One that was made while this request waited for it is new enough, however short it lasts.
            if believed.until > now {
                EntryAction::Retain(believed.answer.clone())
            } else {
                EntryAction::ReplaceWithGuard
            }
        });
        let place = match known.await {
            EntryResult::Retained(answer) => return Ok(answer),
            EntryResult::Vacant(place) | EntryResult::Replaced(place, _) => Some(place),
            EntryResult::Removed(..) | EntryResult::Timeout => None,
        };
        let (answer, lifetime) = ask.await?;
        if let Some(place) = place {
            // It fails only where the entry was removed meanwhile.
            let _ =
                place.insert(Believed { answer: answer.clone(), until: Instant::now() + lifetime });
        }
        Ok(answer)
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::atomic::{AtomicU32, Ordering},
    };

    use super::*;

    const LIFETIME: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn many_who_ask_the_same_are_one_question() {
        let (decisions, asked) = (Decisions::new(16), AtomicU32::new(0));
        let get = || {
            decisions.get(&"who", async {
                tokio::time::sleep(Duration::from_secs(1)).await;
                Ok::<_, Infallible>((asked.fetch_add(1, Ordering::Relaxed), LIFETIME))
            })
        };
        assert_eq!(futures::future::join_all((0..100).map(|_| get())).await, vec![Ok(0); 100]);
        assert_eq!(get().await, Ok(0));
        tokio::time::advance(LIFETIME).await;
        assert_eq!(get().await, Ok(1));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_leaves_or_fails_leaves_the_question_to_the_next() {
        let decisions = Decisions::new(16);
        let slow = decisions.get(&1, async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            Ok::<_, &str>(("slow", LIFETIME))
        });
        let next = decisions.get(&1, async { Ok::<_, &str>(("next", LIFETIME)) });
        let mut next = std::pin::pin!(next);
        {
            let mut slow = std::pin::pin!(slow);
            assert!(futures::poll!(&mut slow).is_pending());
            assert!(futures::poll!(&mut next).is_pending());
        }
        assert_eq!(next.await, Ok("next"));
        assert_eq!(decisions.get(&2, async { Err::<(&str, _), _>("no") }).await, Err("no"));
        assert_eq!(decisions.get(&2, async { Ok::<_, &str>(("yes", LIFETIME)) }).await, Ok("yes"));
    }

    #[tokio::test(start_paused = true)]
    async fn there_are_never_more_than_fit() {
        let decisions = Decisions::new(64);
        for question in 0..10_000 {
            let _ = decisions.get(&question, async { Ok::<_, Infallible>(((), LIFETIME)) }).await;
        }
        assert!(decisions.len() <= 64, "{}", decisions.len());
    }
}
