//! A queue of keys: each is worked on by one task at a time, again if it changed meanwhile, later if it asks so.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures::StreamExt;
use tokio::{
    sync::{Notify, mpsc},
    task::JoinSet,
};
use tokio_util::{
    sync::CancellationToken,
    time::{DelayQueue, delay_queue},
};

use crate::key::Key;

/// The first pause after a failure; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How long work that is under way may take at the end.
const GRACE: Duration = Duration::from_secs(5);

/// What a key's work says when it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing until it changes.
    Wait,
    /// The same, and refusals still count: it waits for another try, and has not had it.
    InLine,
    /// Look again after that long, or when it changes.
    After(Duration),
    /// It failed: again after a pause that grows.
    Retry,
    /// It was refused: the same, until it waits for nothing more.
    Refused,
}

#[derive(Default)]
struct Entry {
    running: bool,
    changed: Arc<Notify>,
    again: bool,
    failures: u32,
    refusals: u32,
    later: Option<delay_queue::Key>,
}

/// Works on keys until `stop`, then waits a little for the work that is under way. `work` gets the key, and a notification of
/// changes that come while it runs.
pub async fn run<F: Future<Output = Next> + Send + 'static>(
    mut keys: mpsc::UnboundedReceiver<Key>,
    stop: CancellationToken,
    work: impl Fn(Key, Arc<Notify>) -> F,
) {
    let mut entries: HashMap<Key, Entry> = HashMap::new();
    let mut delays: DelayQueue<Key> = DelayQueue::new();
    let mut workers: JoinSet<(Key, Next)> = JoinSet::new();
    loop {
        let due = tokio::select! {
            () = stop.cancelled() => break,
            key = keys.recv() => match key {
                Some(key) => key,
                None => break,
            },
            Some(expired) = delays.next() => {
                let key = expired.into_inner();
                if let Some(entry) = entries.get_mut(&key) {
                    entry.later = None;
                }
                key
            }
            Some(done) = workers.join_next() => match done {
                Ok((key, next)) => match finish(&mut entries, &mut delays, &key, next) {
                    true => key,
                    false => continue,
                },
                Err(error) => {
                    // A panic is a defect; its key is lost until the process, which aborts on it, is back.
                    tracing::error!(error = &error as &dyn std::error::Error, "work ended badly");
                    continue;
                }
            },
        };
        let entry = entries.entry(due.clone()).or_default();
        if entry.running {
            entry.again = true;
            entry.changed.notify_one();
            continue;
        }
        if let Some(later) = entry.later.take() {
            delays.remove(&later);
        }
        entry.running = true;
        let changed = Arc::new(Notify::new());
        entry.changed = changed.clone();
        let working = work(due.clone(), changed);
        workers.spawn(async move { (due, working.await) });
    }
    let finished = async { while workers.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, finished).await.is_err() {
        // Whoever comes next looks at these again, and finds them as they are.
        workers.shutdown().await;
    }
}

/// Notes what work on a key came to; gives whether the key is due at once.
fn finish(
    entries: &mut HashMap<Key, Entry>,
    delays: &mut DelayQueue<Key>,
    key: &Key,
    next: Next,
) -> bool {
    let Some(entry) = entries.get_mut(key) else { return false };
    entry.running = false;
    entry.failures = if next == Next::Retry { entry.failures.saturating_add(1) } else { 0 };
    if next == Next::Refused {
        entry.refusals = entry.refusals.saturating_add(1);
    }
    if std::mem::take(&mut entry.again) {
        return true;
    }
    let pause = match next {
        Next::InLine if entry.refusals > 0 => return false,
        Next::Wait | Next::InLine => {
            entries.remove(key);
            return false;
        }
        Next::After(pause) => pause,
        Next::Retry => growing(entry.failures),
        Next::Refused => growing(entry.refusals),
    };
    entry.later = Some(delays.insert(key.clone(), pause));
    false
}

/// The pause before so many tries, after the first.
fn growing(times: u32) -> Duration {
    let doubled = 1_u32.checked_shl(times.saturating_sub(1)).unwrap_or(u32::MAX);
    FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use tokio::time::Instant;

    fn key(name: &str) -> Key {
        Key { namespace: "n".into(), name: name.into(), uid: "u".into() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_is_worked_on_once_at_a_time_and_again_if_it_changed() {
        let (send, keys) = mpsc::unbounded_channel();
        let running = Arc::new(Mutex::new((0, 0, 0)));
        let seen = running.clone();
        let stop = CancellationToken::new();
        let queue = tokio::spawn(run(keys, stop.clone(), move |_, _| {
            let seen = seen.clone();
            async move {
                {
                    let mut seen = seen.lock();
                    seen.0 += 1;
                    seen.1 = seen.1.max(seen.0);
                    seen.2 += 1;
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
                seen.lock().0 -= 1;
                Next::Wait
            }
        }));
        for _ in 0..5 {
            send.send(key("a")).unwrap();
        }
        tokio::time::sleep(Duration::from_secs(10)).await;
        stop.cancel();
        queue.await.unwrap();
        let (_, at_a_time, in_all) = *running.lock();
        assert_eq!((at_a_time, in_all), (1, 2));
    }

    /// When a key was looked at, in milliseconds: it changes at the beginning of each of so many spans of that length, and the
    /// looks come to what `next` says of their number.
    async fn looks(
        spans: usize,
        length: Duration,
        next: impl Fn(usize) -> Next + Clone + Send + 'static,
    ) -> Vec<u128> {
        let (send, keys) = mpsc::unbounded_channel();
        let times = Arc::new(Mutex::new(Vec::new()));
        let seen = times.clone();
        let stop = CancellationToken::new();
        let begun = Instant::now();
        let queue = tokio::spawn(run(keys, stop.clone(), move |_, _| {
            let (seen, next) = (seen.clone(), next.clone());
            async move {
                let mut seen = seen.lock();
                seen.push(begun.elapsed().as_millis());
                next(seen.len())
            }
        }));
        for _ in 0..spans {
            send.send(key("a")).unwrap();
            tokio::time::sleep(length).await;
        }
        stop.cancel();
        queue.await.unwrap();
        times.lock().clone()
    }

    #[tokio::test(start_paused = true)]
    async fn failures_are_tried_again_after_growing_pauses() {
        let next = |look| if look < 4 { Next::Retry } else { Next::Wait };
        let times = looks(1, Duration::from_secs(10), next).await;
        let pauses: Vec<u128> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(pauses.len(), 3);
        for (pause, least) in pauses.iter().zip([50, 100, 200]) {
            assert!((least..least + 20).contains(pause), "{pauses:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_count_for_one_that_waited_for_its_next_try_and_are_forgotten_after_it() {
        for (between, least) in [(Next::InLine, 200), (Next::Wait, 50)] {
            // Two refusals, a look in between, another refusal when it has changed.
            let next = move |look| match look {
                1 | 2 | 4 => Next::Refused,
                3 => between,
                _ => Next::Wait,
            };
            let times = looks(2, Duration::from_secs(1), next).await;
            assert!(times[2] < 1000 && times[3] >= 1000, "it waits until it changes: {times:?}");
            let pause = times[4] - times[3];
            assert!((least..least + 20).contains(&pause), "{between:?}: {times:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn work_hears_of_changes_while_it_runs() {
        let (send, keys) = mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        let heard = Arc::new(Mutex::new(0));
        let seen = heard.clone();
        let queue = tokio::spawn(run(keys, stop.clone(), move |_, changed: Arc<Notify>| {
            let seen = seen.clone();
            async move {
                if *seen.lock() == 0 {
                    changed.notified().await;
                }
                *seen.lock() += 1;
                Next::Wait
            }
        }));
        send.send(key("a")).unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(*heard.lock(), 0);
        send.send(key("a")).unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        stop.cancel();
        queue.await.unwrap();
        assert_eq!(*heard.lock(), 2);
    }
}
