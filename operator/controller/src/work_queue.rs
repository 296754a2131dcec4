//! A work queue: each key is worked on by one task at a time, again if it changed meanwhile, later if it asks so.

use std::{collections::HashMap, hash::Hash, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::{FutureExt, StreamExt};
use support::backoff::Backoff;
use tokio::{
    sync::{Notify, mpsc},
    task::JoinSet,
};
use tokio_util::{
    sync::CancellationToken,
    time::{DelayQueue, delay_queue},
};

/// After failures and refusals.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(30));
/// How long running work may take to finish at the end: the next replica waits for it.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);

/// When a key is worked on next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// When it changes.
    AwaitChange,
    /// When it changes, but its refusals still count: it has not had its next try yet.
    AwaitAdmission,
    /// After that long, or when it changes.
    RequeueAfter(Duration),
    /// It failed: after a back-off, or when it changes.
    Retry,
    /// It was refused: the same, with a back-off that grows until the key awaits a change.
    RetryRefused,
}

/// Where keys that have changed are put.
pub struct WorkQueue<K>(mpsc::UnboundedSender<K>);

impl<K> Clone for WorkQueue<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K> WorkQueue<K> {
    /// An empty queue, and what [`run`] takes the keys from.
    pub fn new() -> (Self, mpsc::UnboundedReceiver<K>) {
        let (send, keys) = mpsc::unbounded_channel();
        (Self(send), keys)
    }

    pub fn add(&self, key: K) {
        // Nobody listens only after the end of the queue, and so of the process.
        let _ = self.0.send(key);
    }

    pub fn add_all(&self, keys: impl IntoIterator<Item = K>) {
        keys.into_iter().for_each(|key| self.add(key));
    }
}

struct Entry {
    running: bool,
    changed: Arc<Notify>,
    again: bool,
    failures: u32,
    refusals: u32,
    delay: Option<delay_queue::Key>,
}

impl Default for Entry {
    fn default() -> Self {
        let changed = Arc::default();
        Self { running: false, changed, again: false, failures: 0, refusals: 0, delay: None }
    }
}

/// Works on keys until `stop`, then lets running work finish within a grace period. `work` gets the key, and is notified
/// of changes that come while it runs.
pub async fn run<K, F>(
    mut keys: mpsc::UnboundedReceiver<K>,
    stop: CancellationToken,
    work: impl Fn(K, Arc<Notify>) -> F,
) where
    K: Clone + Eq + Hash + Send + 'static,
    F: Future<Output = Action> + Send + 'static,
{
    let mut entries: HashMap<K, Entry> = HashMap::new();
    let mut delays: DelayQueue<K> = DelayQueue::new();
    let mut workers: JoinSet<(K, Action)> = JoinSet::new();
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
                    entry.delay = None;
                }
                key
            }
            Some(done) = workers.join_next() => match done {
                Ok((key, action)) => match finish(&mut entries, &mut delays, &key, action) {
                    true => key,
                    false => continue,
                },
                Err(error) => {
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
        if let Some(delay) = entry.delay.take() {
            delays.remove(&delay);
        }
        entry.running = true;
        let changed = Arc::new(Notify::new());
        entry.changed = changed.clone();
        let working = work(due.clone(), changed);
        workers.spawn(async move {
            // A panic is a defect, which the process's hook reports: no other key may suffer for it.
            let done = AssertUnwindSafe(working).catch_unwind().await;
            (due, done.unwrap_or(Action::Retry))
        });
    }
    let finished = async { while workers.join_next().await.is_some() {} };
    if tokio::time::timeout(SHUTDOWN_GRACE, finished).await.is_err() {
        // The next process reconciles these again, from the objects.
        workers.shutdown().await;
    }
}

/// The same, where `stop` cuts short what runs: whoever comes next begins it again.
pub async fn run_until<K, F>(
    keys: mpsc::UnboundedReceiver<K>,
    stop: CancellationToken,
    work: impl Fn(K, Arc<Notify>) -> F,
) where
    K: Clone + Eq + Hash + Send + 'static,
    F: Future<Output = Action> + Send + 'static,
{
    let stopping = stop.clone();
    run(keys, stop, |key, changed| {
        let working = stopping.clone().run_until_cancelled_owned(work(key, changed));
        async move { working.await.unwrap_or(Action::AwaitChange) }
    })
    .await;
}

/// Notes the outcome of work on a key; returns whether the key is due at once.
fn finish<K: Clone + Eq + Hash>(
    entries: &mut HashMap<K, Entry>,
    delays: &mut DelayQueue<K>,
    key: &K,
    action: Action,
) -> bool {
    let Some(entry) = entries.get_mut(key) else { return false };
    entry.running = false;
    entry.failures = if action == Action::Retry { entry.failures.saturating_add(1) } else { 0 };
    if action == Action::RetryRefused {
        entry.refusals = entry.refusals.saturating_add(1);
    }
    if std::mem::take(&mut entry.again) {
        return true;
    }
    let pause = match action {
        Action::AwaitAdmission if entry.refusals > 0 => return false,
        Action::AwaitChange | Action::AwaitAdmission => {
            entries.remove(key);
            return false;
        }
        Action::RequeueAfter(pause) => pause,
        Action::Retry => BACKOFF.after(entry.failures),
        Action::RetryRefused => BACKOFF.after(entry.refusals),
    };
    entry.delay = Some(delays.insert(key.clone(), pause));
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn a_panic_costs_its_key_a_try_and_others_nothing() {
        let (send, keys) = WorkQueue::new();
        let (worked, mut seen) = mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        let queue = tokio::spawn(run(keys, stop.clone(), move |key, _| {
            let worked = worked.clone();
            async move {
                worked.send(key).unwrap();
                assert_ne!(key, "bad");
                Action::AwaitChange
            }
        }));
        send.add("bad");
        assert_eq!(seen.recv().await, Some("bad"));
        send.add("good");
        assert_eq!(seen.recv().await, Some("good"));
        assert_eq!(seen.recv().await, Some("bad"));
        stop.cancel();
        queue.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_is_worked_on_once_at_a_time_and_again_if_it_changed() {
        let (send, keys) = WorkQueue::new();
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
                Action::AwaitChange
            }
        }));
        for _ in 0..5 {
            send.add("a");
        }
        tokio::time::sleep(Duration::from_secs(10)).await;
        stop.cancel();
        queue.await.unwrap();
        let (_, at_a_time, in_all) = *running.lock();
        assert_eq!((at_a_time, in_all), (1, 2));
    }

    /// When a key was worked on, in milliseconds. It changes at the beginning of each of `spans` spans of `length`; the n-th
    /// run comes to `next(n)`.
    async fn work_times(
        spans: usize,
        length: Duration,
        next: impl Fn(usize) -> Action + Clone + Send + 'static,
    ) -> Vec<u128> {
        let (send, keys) = WorkQueue::new();
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
            send.add("a");
            tokio::time::sleep(length).await;
        }
        stop.cancel();
        queue.await.unwrap();
        times.lock().clone()
    }

    #[tokio::test(start_paused = true)]
    async fn failures_are_tried_again_after_growing_pauses() {
        let next = |run| if run < 4 { Action::Retry } else { Action::AwaitChange };
        let times = work_times(1, Duration::from_secs(10), next).await;
        let pauses: Vec<u128> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(pauses.len(), 3);
        for (pause, least) in pauses.iter().zip([50, 100, 200]) {
            assert!((least..2 * least + 20).contains(pause), "{pauses:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_count_for_one_that_waited_for_its_next_try_and_are_forgotten_after_it() {
        for (between, least) in [(Action::AwaitAdmission, 200), (Action::AwaitChange, 50)] {
            // Two refusals, a run in between, another refusal when it has changed.
            let next = move |run| match run {
                1 | 2 | 4 => Action::RetryRefused,
                3 => between,
                _ => Action::AwaitChange,
            };
            let times = work_times(2, Duration::from_secs(1), next).await;
            assert!(times[2] < 1000 && times[3] >= 1000, "it waits until it changes: {times:?}");
            let pause = times[4] - times[3];
            assert!((least..2 * least + 20).contains(&pause), "{between:?}: {times:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn work_hears_of_changes_while_it_runs() {
        let (send, keys) = WorkQueue::new();
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
                Action::AwaitChange
            }
        }));
        send.add("a");
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(*heard.lock(), 0);
        send.add("a");
        tokio::time::sleep(Duration::from_secs(1)).await;
        stop.cancel();
        queue.await.unwrap();
        assert_eq!(*heard.lock(), 2);
    }
}
