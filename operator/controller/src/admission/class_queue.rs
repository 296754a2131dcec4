//! The order in which a class's waiting sessions are served. Pure.
//!
//! A namespace that has nothing of the class comes first, the one that was served longest ago; then those below their
//! fair share, whatever the others submit; then all others. Among those that have something the higher `spec.priority`
//! goes first, then the namespace with fewer live sessions, then the one that was served longest ago, then age. Within a
//! namespace the higher priority, then age.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    iter::Peekable,
    time::Duration,
};

use jiff::Timestamp;

/// How old the positions that sessions are told may be: counting the whole queue for each reconcile costs too much.
const POSITIONS_TTL: Duration = Duration::from_secs(1);
/// How many namespaces are remembered that have nothing of the class and want nothing.
const MAX_SERVED: usize = 4096;

/// A session that waits; the smallest is the first of its namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Waiting {
    pub priority: Reverse<i32>,
    pub created: Option<Timestamp>,
    /// The order of arrival: creation times are cut to seconds.
    pub arrival: u64,
    /// The session's uid.
    pub uid: String,
}

/// A namespace whose ResourceQuota is used up.
#[derive(Debug, Default)]
pub struct QuotaBlock {
    /// The uid of the one session that may try again; the namespace's first if absent.
    pub retries: Option<String>,
    /// It was refused and retries by itself after its back-off: until then it needs no place, and nobody wakes it.
    pub backs_off: bool,
}

/// The sessions of one class.
#[derive(Debug, Default)]
pub struct ClassQueue {
    /// How many may live; `None`: any number.
    pub capacity: Option<usize>,
    /// How many of one namespace may live; `None`: any number.
    pub ceiling: Option<usize>,
    /// How many live, by namespace; never 0.
    pub live: HashMap<String, usize>,
    /// Who waits, by namespace; never empty.
    pub waiting: BTreeMap<String, BTreeSet<Waiting>>,
    /// When each namespace was last served, counted in reservations. A namespace that comes back is not new.
    pub served: HashMap<String, u64>,
    pub blocked: HashMap<String, QuotaBlock>,
    positions: HashMap<String, i32>,
    counted_at: Option<Timestamp>,
}

/// Which namespaces go first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Tier {
    HasNothing,
    BelowFairShare,
    Other,
}

/// One namespace's part of the queue.
struct NamespaceQueue<'a> {
    waiting: Peekable<Box<dyn Iterator<Item = &'a Waiting> + 'a>>,
    live: usize,
    served: u64,
    backs_off: bool,
}

impl ClassQueue {
    pub fn total_live(&self) -> usize {
        self.live.values().sum()
    }

    pub fn total_waiting(&self) -> usize {
        self.waiting.values().map(BTreeSet::len).sum()
    }

    /// How many more may live.
    pub fn free(&self) -> usize {
        self.capacity.map_or(usize::MAX, |capacity| capacity.saturating_sub(self.total_live()))
    }

    /// How many more of a namespace may live.
    pub fn free_for(&self, namespace: &str) -> usize {
        let live = self.live.get(namespace).copied().unwrap_or(0);
        self.ceiling.map_or(usize::MAX, |ceiling| ceiling.saturating_sub(live))
    }

    pub fn waiting_in(&self, namespace: &str) -> usize {
        self.waiting.get(namespace).map_or(0, BTreeSet::len)
    }

    /// A namespace has been served. The most recent ones are remembered, and those that have or want something.
    pub fn serve(&mut self, namespace: &str, reservation: u64) {
        let Self { served, live, waiting, .. } = self;
        served.insert(namespace.to_owned(), reservation);
        if served.len() > 2 * MAX_SERVED {
            let oldest = reservation.saturating_sub(MAX_SERVED as u64);
            served.retain(|namespace, at| {
                *at > oldest || live.contains_key(namespace) || waiting.contains_key(namespace)
            });
        }
    }

    pub fn is_idle(&self) -> bool {
        self.live.is_empty() && self.waiting.is_empty()
    }

    /// What each namespace may have before others go first: an equal part of the class.
    fn fair_share(&self) -> usize {
        let namespaces: HashSet<&String> = self.live.keys().chain(self.waiting.keys()).collect();
        self.capacity.unwrap_or(usize::MAX) / namespaces.len().max(1)
    }

    fn namespace_queue<'a>(
        &'a self,
        blocked: &'a HashMap<String, QuotaBlock>,
        namespace: &str,
    ) -> NamespaceQueue<'a> {
        let waiting = self.waiting.get(namespace).into_iter().flatten();
        let block = blocked.get(namespace);
        let waiting: Box<dyn Iterator<Item = &Waiting>> = match block {
            None => Box::new(waiting),
            Some(QuotaBlock { retries: None, .. }) => Box::new(waiting.take(1)),
            Some(QuotaBlock { retries: Some(uid), .. }) => {
                Box::new(waiting.filter(move |one| one.uid == *uid))
            }
        };
        NamespaceQueue {
            waiting: waiting.peekable(),
            live: self.live.get(namespace).copied().unwrap_or(0),
            served: self.served.get(namespace).copied().unwrap_or(0),
            backs_off: block.is_some_and(|block| block.backs_off),
        }
    }

    /// Visits the uids of the first `count` of the queue, as if each got its place. Of a blocked namespace only the session
    /// that may retry is visited, and it takes no place while it backs off.
    fn visit_in_order(
        &self,
        blocked: &HashMap<String, QuotaBlock>,
        ceiling: Option<usize>,
        count: usize,
        mut visit: impl FnMut(&str),
    ) {
        let fair_share = self.fair_share();
        let mut last_served = self.served.values().copied().max().unwrap_or(0);
        let mut queues: Vec<NamespaceQueue<'_>> =
            self.waiting.keys().map(|namespace| self.namespace_queue(blocked, namespace)).collect();
        let mut places = 0;
        while places < count {
            let best = queues
                .iter_mut()
                .filter(|queue| ceiling.is_none_or(|ceiling| queue.live < ceiling))
                .filter_map(|queue| {
                    let head = *queue.waiting.peek()?;
                    let NamespaceQueue { live, served, .. } = *queue;
                    let rank = if live == 0 {
                        (Tier::HasNothing, None, live, served, head)
                    } else {
                        let tier =
                            if live < fair_share { Tier::BelowFairShare } else { Tier::Other };
                        (tier, Some(head.priority), live, served, head)
                    };
                    Some((rank, queue))
                })
                .min_by(|(one, _), (other, _)| one.cmp(other));
            let Some(((.., head), queue)) = best else { return };
            visit(&head.uid);
            queue.waiting.next();
            if queue.backs_off {
                continue;
            }
            places += 1;
            queue.live += 1;
            last_served += 1;
            queue.served = last_served;
        }
    }

    /// The uids of the sessions that may have their pods now.
    pub fn next(&self) -> Vec<String> {
        let mut next = Vec::new();
        self.visit_in_order(&self.blocked, self.ceiling, self.free(), |uid| {
            next.push(uid.to_owned())
        });
        next
    }

    /// The position of a session that waits; 1 is the next. At most [`POSITIONS_TTL`] old.
    pub fn position(&mut self, uid: &str, now: Timestamp) -> i32 {
        let is_fresh = self
            .counted_at
            .is_some_and(|counted| now.duration_since(counted).unsigned_abs() < POSITIONS_TTL);
        if !is_fresh {
            self.count_positions(now);
        }
        // One that has come since then is somewhere behind: the next count knows.
        let last = || i32::try_from(self.total_waiting()).unwrap_or(i32::MAX);
        self.positions.get(uid).copied().unwrap_or_else(last)
    }

    /// Counts the whole queue. Quotas and ceilings do not matter here: they may have room at any time.
    pub fn count_positions(&mut self, now: Timestamp) -> &HashMap<String, i32> {
        let mut positions = HashMap::new();
        self.visit_in_order(&HashMap::new(), None, usize::MAX, |uid| {
            let position = i32::try_from(positions.len() + 1).unwrap_or(i32::MAX);
            positions.insert(uid.to_owned(), position);
        });
        self.positions = positions;
        self.counted_at = Some(now);
        &self.positions
    }
}

/// Whether a position differs enough from the one in the status: it has halved or doubled. So a session that only moves on
/// is written about at most log2 of its first position times.
pub fn is_worth_a_write(written: Option<i32>, position: i32) -> bool {
    written.is_none_or(|written| {
        position <= written / 2 || i64::from(position) >= 2 * i64::from(written)
    })
}
