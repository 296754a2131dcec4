//! The order of a class's line.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    iter::Peekable,
};

use jiff::Timestamp;

use super::{Class, Closed, Waiting};

/// Which namespaces go first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Tier {
    HasNothing,
    BelowItsShare,
    Other,
}

/// One namespace's part of the line.
struct Queue<'a> {
    waiting: Peekable<Box<dyn Iterator<Item = &'a Waiting> + 'a>>,
    live: usize,
    served: u64,
    /// What it has to try needs no place before it is tried.
    pauses: bool,
}

impl Class {
    /// How many live.
    pub(super) fn live_in_all(&self) -> usize {
        self.live.values().sum()
    }

    /// How many more may.
    pub(super) fn free(&self) -> usize {
        self.capacity.map_or(usize::MAX, |capacity| capacity.saturating_sub(self.live_in_all()))
    }

    /// What each namespace may have before another's sessions go first: an equal part of the class, so that all of them
    /// together are not more than it.
    fn share(&self) -> usize {
        let here: HashSet<&String> = self.live.keys().chain(self.waiting.keys()).collect();
        self.capacity.unwrap_or(usize::MAX) / here.len().max(1)
    }

    /// How many wait.
    pub(super) fn waiting_in_all(&self) -> usize {
        self.waiting.values().map(BTreeSet::len).sum()
    }

    fn queue<'a>(&'a self, closed: &'a HashMap<String, Closed>, namespace: &str) -> Queue<'a> {
        let waiting = self.waiting.get(namespace).into_iter().flatten();
        let closed = closed.get(namespace);
        let waiting: Box<dyn Iterator<Item = &Waiting>> = match closed {
            None => Box::new(waiting),
            Some(Closed { tries: None, .. }) => Box::new(waiting.take(1)),
            Some(Closed { tries: Some(uid), .. }) => {
                Box::new(waiting.filter(move |one| one.uid == *uid))
            }
        };
        let live = self.live.get(namespace).copied().unwrap_or(0);
        let served = self.served.get(namespace).copied().unwrap_or(0);
        let pauses = closed.is_some_and(|closed| closed.pauses);
        Queue { waiting: waiting.peekable(), live, served, pauses }
    }

    /// The first so many of the line, by uid, as if each got its place. Of a namespace that is closed only the one that may
    /// try is there, beside the others while it pauses.
    pub(super) fn in_order(
        &self,
        closed: &HashMap<String, Closed>,
        count: usize,
        mut tell: impl FnMut(&str),
    ) {
        let share = self.share();
        let mut now_served = self.served.values().copied().max().unwrap_or(0);
        let mut queues: Vec<Queue<'_>> =
            self.waiting.keys().map(|namespace| self.queue(closed, namespace)).collect();
        let mut places = 0;
        while places < count {
            let best = queues
                .iter_mut()
                .filter_map(|queue| {
                    let head = *queue.waiting.peek()?;
                    let Queue { live, served, .. } = *queue;
                    let rank = if live == 0 {
                        (Tier::HasNothing, None, live, served, head)
                    } else {
                        let tier = if live < share { Tier::BelowItsShare } else { Tier::Other };
                        (tier, Some(head.priority), live, served, head)
                    };
                    Some((rank, queue))
                })
                .min_by(|(one, _), (other, _)| one.cmp(other));
            let Some(((.., head), queue)) = best else { return };
            tell(&head.uid);
            queue.waiting.next();
            if queue.pauses {
                continue;
            }
            places += 1;
            queue.live += 1;
            now_served += 1;
            queue.served = now_served;
        }
    }

    /// Counts the line: who is where. Quotas do not count here: they may have room at any time.
    pub(super) fn count(&mut self, now: Timestamp) {
        let mut positions = HashMap::new();
        self.in_order(&HashMap::new(), usize::MAX, |uid| {
            let position = i32::try_from(positions.len() + 1).unwrap_or(i32::MAX);
            positions.insert(uid.to_owned(), position);
        });
        self.positions = positions;
        self.counted = Some(now);
    }
}

/// Whether a position is worth a write, where another was written before: it has halved, or doubled. So a session that
/// only moves on is written about at most once and log2 of its first position times more.
pub fn is_news(written: Option<i32>, position: i32) -> bool {
    written.is_none_or(|written| {
        position <= written / 2 || i64::from(position) >= 2 * i64::from(written)
    })
}
