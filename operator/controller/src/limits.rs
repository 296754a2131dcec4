//! How much is done at a time: five thousand sessions that are created at once are not as many requests at once.

use std::time::Duration;

use tokio::{
    select,
    sync::{Semaphore, SemaphorePermit},
    time::sleep,
};

/// How long a bind that is not answered keeps others waiting: an agent may take as long as its browser's start.
const BIND_PLACE: Duration = Duration::from_secs(5);

pub struct Limits {
    steps: Semaphore,
    binds: Semaphore,
}

/// The right to take a step.
pub type Place<'a> = Option<SemaphorePermit<'a>>;

impl Limits {
    /// So many steps that read or write the API server at a time, and so many binds.
    pub fn new(steps: usize, binds: usize) -> Self {
        Self { steps: Semaphore::new(steps.max(1)), binds: Semaphore::new(binds.max(1)) }
    }

    /// Waits for the right to take a step.
    pub async fn step(&self) -> Place<'_> {
        // It is never closed.
        self.steps.acquire().await.ok()
    }

    /// Waits for its turn, and binds. One that takes long lets others have theirs.
    pub async fn bind<T>(&self, bind: impl Future<Output = T>) -> T {
        let mut place = self.binds.acquire().await.ok();
        let (mut bind, mut leave) = (std::pin::pin!(bind), std::pin::pin!(sleep(BIND_PLACE)));
        loop {
            select! {
                biased;
                outcome = &mut bind => return outcome,
                () = &mut leave, if place.is_some() => place = None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::{join_all, pending};
    use parking_lot::Mutex;
    use tokio::time::{Instant, timeout};

    #[tokio::test(start_paused = true)]
    async fn no_more_binds_run_at_a_time_than_they_may() {
        let (limits, running) = (Limits::new(1, 3), Mutex::new((0, 0)));
        let bind = async || {
            {
                let mut running = running.lock();
                running.0 += 1;
                running.1 = running.1.max(running.0);
            }
            sleep(Duration::from_secs(1)).await;
            running.lock().0 -= 1;
        };
        join_all((0..30).map(|_| limits.bind(bind()))).await;
        assert_eq!(*running.lock(), (0, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn agents_that_never_answer_do_not_keep_others_waiting_for_long() {
        let (limits, begun) = (Limits::new(1, 4), Instant::now());
        let slow = join_all((0..40).map(|_| limits.bind(pending::<()>())));
        let quick = async {
            sleep(Duration::from_secs(1)).await;
            limits.bind(async {}).await;
        };
        select! {
            _ = slow => {}
            bound = timeout(Duration::from_secs(60), quick) => bound.unwrap(),
        }
        // Ten rounds of four are before it.
        assert!(begun.elapsed() <= 10 * BIND_PLACE, "{:?}", begun.elapsed());
    }
}
