//! Who is next: what each class has room for, and who waits. Pure; the objects are the queue, this is its index.
//!
//! The order: a namespace that has nothing of the class comes first, the one that was served longest ago; then those below
//! their fair share, whatever the others submit; then all others. Among those that have something the higher
//! `spec.priority` goes first, then the namespace with fewer live sessions, then the one that was served longest ago, then
//! age. Within a namespace the higher priority, then age.
//!
//! A namespace whose ResourceQuota is used up is passed over until one of its pods goes; of its sessions of a class one at a
//! time tries again.

mod order;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use crds::{BrowserSession, Reason};
use jiff::Timestamp;

pub use order::is_news;

use crate::key::Key;

/// How old the positions that sessions are told may be: each look would count the whole line otherwise.
const POSITIONS_LAST: Duration = Duration::from_secs(1);

/// One that waits; the smallest is the first of its namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Waiting {
    priority: Reverse<i32>,
    created: Option<Timestamp>,
    /// In which order they came: those of one second need an order too.
    number: u64,
    /// The key's uid.
    uid: String,
}

/// Whether a session may have its pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It may.
    Go,
    /// Not yet.
    Wait {
        /// What there is no room in.
        reason: Reason,
        /// 1 is the next.
        position: i32,
    },
}

/// A namespace whose quota is used up.
#[derive(Debug, Default)]
struct Closed {
    /// The uid of the one session that may try; whichever is the first if absent.
    tries: Option<String>,
    /// It was refused, and tries again by itself: until then it needs no place, and nobody wakes it.
    pauses: bool,
}

#[derive(Debug, Default)]
struct Class {
    /// How many may live; `None`: any number.
    capacity: Option<usize>,
    /// How many do, by namespace; none is 0.
    live: HashMap<String, usize>,
    /// Who waits, by namespace; none is empty.
    waiting: BTreeMap<String, BTreeSet<Waiting>>,
    /// When each namespace was last given a place, counted in places. Namespaces stay in it: one that went and comes back
    /// is no new one.
    served: HashMap<String, u64>,
    /// Namespaces whose quota is used up.
    closed: HashMap<String, Closed>,
    positions: HashMap<String, i32>,
    counted: Option<Timestamp>,
}

#[derive(Debug)]
enum Place {
    /// With where it stood before.
    Live(Option<Waiting>),
    Waiting(Waiting),
}

/// Every session that has not ended, in its class.
#[derive(Debug, Default)]
pub struct Line {
    classes: BTreeMap<String, Class>,
    /// By uid.
    places: HashMap<String, (Key, String, Place)>,
    /// How many have come.
    came: u64,
    /// How many places were given.
    given: u64,
}

impl Line {
    /// A session that has its pod, or is about to: it takes a place of the class. Gives whom to look at: it may have stood in
    /// another's line.
    pub fn seat(&mut self, key: &Key, class: &str) -> Vec<Key> {
        let left = self.whose(&key.uid).filter(|(_, left)| left != class);
        let waited = match self.remove(&key.uid) {
            Some(Place::Waiting(waiting)) => Some(waiting),
            Some(Place::Live(waited)) => waited,
            None => None,
        };
        self.given += 1;
        let given = self.given;
        let here = self.class(class);
        *here.live.entry(key.namespace.clone()).or_default() += 1;
        here.served.insert(key.namespace.clone(), given);
        self.places.insert(key.uid.clone(), (key.clone(), class.to_owned(), Place::Live(waited)));
        left.map_or_else(Vec::new, |(_, left)| self.vacated(&left, &key.namespace, &key.uid))
    }

    /// Whether a session stands in the line.
    pub fn waits(&self, uid: &str) -> bool {
        matches!(self.places.get(uid), Some((.., Place::Waiting(_))))
    }

    /// Whether a session has its place.
    pub fn is_seated(&self, uid: &str) -> bool {
        matches!(self.places.get(uid), Some((.., Place::Live(_))))
    }

    /// A session that has none stands in the line, unless it has been given a place. A class that it was moved to counts; in
    /// the one that it leaves others may be next. Gives whom to look at.
    pub fn join(&mut self, session: &BrowserSession, class: &str) -> Vec<Key> {
        let Some(key) = Key::of_session(session) else { return Vec::new() };
        let next = match self.places.get(&key.uid) {
            Some((_, there, _)) if there == class => return Vec::new(),
            Some(_) => self.leave(&key.uid),
            None => Vec::new(),
        };
        self.came += 1;
        let waiting = Waiting {
            priority: Reverse(session.spec.priority),
            created: session.metadata.creation_timestamp.as_ref().map(|created| created.0),
            number: self.came,
            uid: key.uid.clone(),
        };
        self.wait(key, class, waiting);
        next
    }

    fn wait(&mut self, key: Key, class: &str, waiting: Waiting) {
        let line = self.class(class).waiting.entry(key.namespace.clone()).or_default();
        line.insert(waiting.clone());
        self.places.insert(key.uid.clone(), (key, class.to_owned(), Place::Waiting(waiting)));
    }

    /// Whether it is the turn of a session that has joined.
    pub fn turn(&mut self, uid: &str, capacity: Option<usize>, now: Timestamp) -> Turn {
        if self.is_seated(uid) {
            return Turn::Go;
        }
        let Some((key, class)) = self.whose(uid) else { return Turn::Go };
        let here = self.class(&class);
        here.capacity = capacity;
        let (is_closed, free) = (here.closed.contains_key(&key.namespace), here.free());
        // Most often there is room for all, and the order does not matter.
        if !is_closed && here.waiting_in_all() <= free
            || self.next(&class).iter().any(|next| next == uid)
        {
            return Turn::Go;
        }
        // From now on it waits to be woken.
        self.set_pauses(&class, &key, false);
        let reason =
            if is_closed && free > 0 { Reason::QuotaExceeded } else { Reason::CapacityReached };
        Turn::Wait { reason, position: self.position(&class, uid, now) }
    }

    /// A session gets its pod.
    pub fn take(&mut self, uid: &str) {
        if self.is_seated(uid) {
            return;
        }
        let Some((key, class)) = self.whose(uid) else { return };
        if let Some(closed) = self.class(&class).closed.get_mut(&key.namespace) {
            *closed = Closed { tries: Some(uid.to_owned()), pauses: false };
        }
        drop(self.seat(&key, &class));
    }

    /// Its pod was made: if the quota had been used up, it has room again, and the next one may try. Gives whom to look
    /// at.
    pub fn made(&mut self, uid: &str) -> Vec<Key> {
        let Some((key, class)) = self.whose(uid) else { return Vec::new() };
        self.freed(&class, &key.namespace, uid)
    }

    /// Its pod was refused: it stands in the line again. Where a quota was the reason, one of the namespace tries again,
    /// until there is room: the one whose pod is being made, or the first of those that wait. Refusals of several that were
    /// tried at once may come in any order.
    pub fn refused(&mut self, session: &BrowserSession, reason: Reason) -> Vec<Key> {
        let Some(uid) = session.metadata.uid.as_deref() else { return Vec::new() };
        if reason != Reason::QuotaExceeded {
            // It does not stand in others' way until it looks again.
            return self.leave(uid);
        }
        let Some((key, class)) = self.whose(uid) else { return Vec::new() };
        match self.remove(uid) {
            Some(Place::Live(Some(waiting))) => self.wait(key.clone(), &class, waiting),
            _ => drop(self.join(session, &class)),
        }
        self.close(&class, &key.namespace);
        self.set_pauses(&class, &key, true);
        // Others of the class may have what it cannot.
        self.wake(&class)
    }

    /// A namespace's quota is used up.
    pub fn close(&mut self, class: &str, namespace: &str) {
        let closed = self.classes.get(class).and_then(|class| class.closed.get(namespace));
        let tries = closed.and_then(|closed| self.places.get(closed.tries.as_ref()?));
        if tries.is_some_and(|(_, there, place)| there == class && matches!(place, Place::Live(_)))
        {
            return;
        }
        let class = self.class(class);
        let first = class.waiting.get(namespace).and_then(|waiting| waiting.first());
        let tries = first.map(|first| first.uid.clone());
        let closed = class.closed.entry(namespace.to_owned()).or_default();
        if closed.tries != tries {
            *closed = Closed { tries, pauses: false };
        }
    }

    /// Whether a session looks again by itself, if it is the one of its namespace that tries.
    fn set_pauses(&mut self, class: &str, key: &Key, pauses: bool) {
        if let Some(closed) = self.class(class).closed.get_mut(&key.namespace)
            && closed.tries.as_ref() == Some(&key.uid)
        {
            closed.pauses = pauses;
        }
    }

    /// A session is over. Gives whom to look at.
    pub fn leave(&mut self, uid: &str) -> Vec<Key> {
        let Some((key, class)) = self.whose(uid) else { return Vec::new() };
        self.remove(uid);
        self.vacated(&class, &key.namespace, uid)
    }

    /// A pod of the namespace is gone, so its quota may have room. Gives whom to look at.
    pub fn has_room(&mut self, namespace: &str) -> Vec<Key> {
        let closed = |class: &Class| class.closed.contains_key(namespace);
        let classes = self.classes.iter().filter(|(_, class)| closed(class));
        let classes: Vec<String> = classes.map(|(name, _)| name.clone()).collect();
        classes.iter().flat_map(|class| self.open(class, namespace)).collect()
    }

    /// Every session that waits, with its position.
    pub fn positions(&mut self, now: Timestamp) -> Vec<(Key, i32)> {
        let classes: Vec<String> = self.classes.keys().cloned().collect();
        for class in &classes {
            self.class(class).count(now);
        }
        let told = self.classes.values().flat_map(|class| &class.positions);
        told.filter_map(|(uid, position)| Some((self.places.get(uid)?.0.clone(), *position)))
            .collect()
    }

    /// How many live and how many wait, by class.
    pub fn counts(&self) -> impl Iterator<Item = (&str, usize, usize)> {
        self.classes
            .iter()
            .map(|(name, class)| (name.as_str(), class.live_in_all(), class.waiting_in_all()))
    }

    /// A session left a class: its place may be another's, and so may its try. Gives whom to look at.
    fn vacated(&mut self, class: &str, namespace: &str, uid: &str) -> Vec<Key> {
        let mut next = self.freed(class, namespace, uid);
        let others = self.wake(class).into_iter().filter(|key| !next.contains(key));
        let others: Vec<Key> = others.collect();
        next.extend(others);
        next
    }

    /// The one that tried, or was about to, tries no more.
    fn freed(&mut self, class: &str, namespace: &str, uid: &str) -> Vec<Key> {
        let closed = self.classes.get(class).and_then(|class| class.closed.get(namespace));
        let tried = closed.is_some_and(|closed| closed.tries.as_deref().is_none_or(|it| it == uid));
        if tried { self.open(class, namespace) } else { Vec::new() }
    }

    /// Lets the first one of a namespace try; a namespace where nobody waits is open again.
    fn open(&mut self, class: &str, namespace: &str) -> Vec<Key> {
        let class = self.class(class);
        match class.waiting.get(namespace).and_then(|waiting| waiting.first()) {
            Some(head) => {
                let head = head.uid.clone();
                class.closed.insert(namespace.to_owned(), Closed::default());
                self.keys(vec![head])
            }
            None => {
                class.closed.remove(namespace);
                Vec::new()
            }
        }
    }

    /// The uids of those whose turn it is in a class.
    fn next(&self, class: &str) -> Vec<String> {
        let Some(class) = self.classes.get(class) else { return Vec::new() };
        let mut next = Vec::new();
        class.in_order(&class.closed, class.free(), |uid| next.push(uid.to_owned()));
        next
    }

    /// Those of them that do not look again by themselves: two that were refused would wake each other for ever.
    fn wake(&self, class: &str) -> Vec<Key> {
        let pauses = |key: &Key| {
            let closed = self.classes.get(class).and_then(|here| here.closed.get(&key.namespace));
            closed.is_some_and(|closed| closed.pauses)
        };
        let mut next = self.keys(self.next(class));
        next.retain(|key| !pauses(key));
        next
    }

    fn keys(&self, uids: Vec<String>) -> Vec<Key> {
        uids.iter().filter_map(|uid| Some(self.places.get(uid)?.0.clone())).collect()
    }

    /// The key of a session that is here, and its class.
    fn whose(&self, uid: &str) -> Option<(Key, String)> {
        self.places.get(uid).map(|(key, class, _)| (key.clone(), class.clone()))
    }

    fn position(&mut self, class: &str, uid: &str, now: Timestamp) -> i32 {
        let class = self.class(class);
        let is_fresh = class
            .counted
            .is_some_and(|counted| now.duration_since(counted).unsigned_abs() < POSITIONS_LAST);
        if !is_fresh {
            class.count(now);
        }
        // One that has come since then is somewhere behind: the next count knows.
        let last = || i32::try_from(class.waiting_in_all()).unwrap_or(i32::MAX);
        class.positions.get(uid).copied().unwrap_or_else(last)
    }

    fn class(&mut self, name: &str) -> &mut Class {
        self.classes.entry(name.to_owned()).or_default()
    }

    fn remove(&mut self, uid: &str) -> Option<Place> {
        let (key, name, place) = self.places.remove(uid)?;
        let class = self.class(&name);
        match &place {
            Place::Live(_) => {
                if let Some(live) = class.live.get_mut(&key.namespace) {
                    *live -= 1;
                    if *live == 0 {
                        class.live.remove(&key.namespace);
                    }
                }
            }
            Place::Waiting(waiting) => {
                if let Some(line) = class.waiting.get_mut(&key.namespace) {
                    line.remove(waiting);
                    if line.is_empty() {
                        class.waiting.remove(&key.namespace);
                    }
                }
            }
        }
        Some(place)
    }
}

#[cfg(test)]
mod tests;
