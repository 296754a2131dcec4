//! Who has a place in a class, and who waits for one. Pure: the objects are the queue, this is its index.
//!
//! A namespace whose ResourceQuota is used up is passed over until one of its pods goes; meanwhile one of its sessions of
//! each class retries. Methods that free a place return the sessions to reconcile again.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
};

use crds::{BrowserSession, Reason};
use jiff::Timestamp;

use super::class_queue::{ClassQueue, QuotaBlock, Waiting};
use crate::session_key::SessionKey;

/// Whether a session may have its pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    Admitted,
    Queued {
        /// What has no room: the class (`CapacityReached`), the namespace's quota (`QuotaExceeded`) or its part of the class
        /// (`NamespaceCeilingReached`).
        reason: Reason,
        /// 1 is the next.
        position: i32,
    },
}

#[derive(Debug)]
enum Place {
    /// With where it waited before: a session whose pod is refused goes back there.
    Reserved(Option<Waiting>),
    Waiting(Waiting),
}

#[derive(Debug)]
struct Entry {
    key: SessionKey,
    class: String,
    place: Place,
}

/// Every session that has not ended, in its class.
#[derive(Debug, Default)]
pub struct AdmissionQueue {
    classes: BTreeMap<String, ClassQueue>,
    /// By the session's uid.
    entries: HashMap<String, Entry>,
    arrivals: u64,
    reservations: u64,
}

impl AdmissionQueue {
    /// Gives a place to a session that has its pod, or is about to. It may have waited in another class.
    pub fn reserve(&mut self, key: &SessionKey, class: &str) -> Vec<SessionKey> {
        let previous = self.find(&key.uid).map(|(_, previous)| previous);
        let waited = match self.remove(&key.uid) {
            Some(Place::Waiting(waiting)) => Some(waiting),
            Some(Place::Reserved(waited)) => waited,
            None => None,
        };
        self.reservations += 1;
        let reservations = self.reservations;
        let queue = self.class(class);
        *queue.live.entry(key.namespace.clone()).or_default() += 1;
        queue.serve(&key.namespace, reservations);
        self.insert(key.clone(), class, Place::Reserved(waited));
        match previous.filter(|previous| previous != class) {
            Some(previous) => self.vacate(&previous, &key.namespace, &key.uid),
            None => Vec::new(),
        }
    }

    /// How many sessions of one namespace may live in a class.
    pub fn set_ceiling(&mut self, class: &str, ceiling: Option<usize>) {
        if ceiling.is_some() || self.classes.contains_key(class) {
            self.class(class).ceiling = ceiling;
        }
    }

    /// Forgets the classes that are gone and have no session; gives their names.
    pub fn forget_classes(&mut self, exists: impl Fn(&str) -> bool) -> Vec<String> {
        let gone = |(name, queue): (&String, &ClassQueue)| {
            (queue.is_idle() && !exists(name)).then(|| name.clone())
        };
        let gone: Vec<String> = self.classes.iter().filter_map(gone).collect();
        gone.iter().for_each(|name| drop(self.classes.remove(name)));
        gone
    }

    pub fn is_waiting(&self, uid: &str) -> bool {
        matches!(self.entries.get(uid), Some(Entry { place: Place::Waiting(_), .. }))
    }

    pub fn has_reservation(&self, uid: &str) -> bool {
        matches!(self.entries.get(uid), Some(Entry { place: Place::Reserved(_), .. }))
    }

    /// Lets a session wait in a class, unless it waits or has a place there. One that moved leaves its old class to others.
    pub fn enqueue(&mut self, session: &BrowserSession, class: &str) -> Vec<SessionKey> {
        let Some(key) = SessionKey::of_session(session) else { return Vec::new() };
        let next = match self.entries.get(&key.uid) {
            Some(entry) if entry.class == class => return Vec::new(),
            Some(_) => self.release(&key.uid),
            None => Vec::new(),
        };
        self.arrivals += 1;
        let waiting = Waiting {
            priority: Reverse(session.spec.priority),
            created: session.metadata.creation_timestamp.as_ref().map(|created| created.0),
            arrival: self.arrivals,
            uid: key.uid.clone(),
        };
        self.wait(key, class, waiting);
        next
    }

    /// Whether a session that was enqueued may have its pod.
    pub fn admission(&mut self, uid: &str, capacity: Option<usize>, now: Timestamp) -> Admission {
        if self.has_reservation(uid) {
            return Admission::Admitted;
        }
        let Some((key, class)) = self.find(uid) else { return Admission::Admitted };
        let queue = self.class(&class);
        queue.capacity = capacity;
        let (is_blocked, free) = (queue.blocked.contains_key(&key.namespace), queue.free());
        // Most often there is room for all, and the order does not matter.
        let free_here = queue.free_for(&key.namespace);
        if !is_blocked
            && queue.total_waiting() <= free
            && queue.waiting_in(&key.namespace) <= free_here
            || queue.next().iter().any(|next| next == uid)
        {
            return Admission::Admitted;
        }
        // From now on it waits to be woken.
        self.set_backs_off(&class, &key, false);
        let reason = match free {
            0 => Reason::CapacityReached,
            _ if free_here == 0 => Reason::NamespaceCeilingReached,
            _ if is_blocked => Reason::QuotaExceeded,
            _ => Reason::CapacityReached,
        };
        Admission::Queued { reason, position: self.class(&class).position(uid, now) }
    }

    /// Reserves the place of a session that was admitted.
    pub fn admit(&mut self, uid: &str) {
        if self.has_reservation(uid) {
            return;
        }
        let Some((key, class)) = self.find(uid) else { return };
        if let Some(block) = self.class(&class).blocked.get_mut(&key.namespace) {
            *block = QuotaBlock { retries: Some(uid.to_owned()), backs_off: false };
        }
        drop(self.reserve(&key, &class));
    }

    /// A session's pod was created: a quota that was used up has room again, and the next session may try.
    pub fn pod_created(&mut self, uid: &str) -> Vec<SessionKey> {
        let Some((key, class)) = self.find(uid) else { return Vec::new() };
        self.end_retry(&class, &key.namespace, uid)
    }

    /// A session's pod was refused: the session waits again. Refusals of several that were tried at once may come in any
    /// order, so after a quota's refusal the one that retries is the first of its namespace.
    pub fn pod_refused(&mut self, session: &BrowserSession, reason: Reason) -> Vec<SessionKey> {
        let Some(uid) = session.metadata.uid.as_deref() else { return Vec::new() };
        if reason != Reason::QuotaExceeded {
            // It must not stand in others' way until it is reconciled again.
            return self.release(uid);
        }
        let Some((key, class)) = self.find(uid) else { return Vec::new() };
        match self.remove(uid) {
            Some(Place::Reserved(Some(waiting))) => self.wait(key.clone(), &class, waiting),
            _ => drop(self.enqueue(session, &class)),
        }
        self.block(&class, &key.namespace);
        self.set_backs_off(&class, &key, true);
        // Other namespaces may have the place that it cannot use.
        self.next_to_wake(&class)
    }

    /// A namespace's quota is used up: only one of its sessions retries. That stays the one whose pod is being created.
    pub fn block(&mut self, class: &str, namespace: &str) {
        if self.retrying(class, namespace).is_some() {
            return;
        }
        let queue = self.class(class);
        let first = queue.waiting.get(namespace).and_then(|waiting| waiting.first());
        let retries = first.map(|first| first.uid.clone());
        let block = queue.blocked.entry(namespace.to_owned()).or_default();
        if block.retries != retries {
            *block = QuotaBlock { retries, backs_off: false };
        }
    }

    /// Whether a session retries by itself, if it is the one of its namespace that retries.
    fn set_backs_off(&mut self, class: &str, key: &SessionKey, backs_off: bool) {
        if let Some(block) = self.class(class).blocked.get_mut(&key.namespace)
            && block.retries.as_ref() == Some(&key.uid)
        {
            block.backs_off = backs_off;
        }
    }

    /// A session has ended: it leaves its place or the queue.
    pub fn release(&mut self, uid: &str) -> Vec<SessionKey> {
        let Some((key, class)) = self.find(uid) else { return Vec::new() };
        self.remove(uid);
        self.vacate(&class, &key.namespace, uid)
    }

    /// A pod of the namespace is gone, so its quota may have room.
    pub fn quota_freed(&mut self, namespace: &str) -> Vec<SessionKey> {
        let is_blocked = |queue: &ClassQueue| queue.blocked.contains_key(namespace);
        let classes = self.classes.iter().filter(|(_, queue)| is_blocked(queue));
        let classes: Vec<String> = classes.map(|(name, _)| name.clone()).collect();
        let mut next = Vec::new();
        for class in &classes {
            match self.retrying(class, namespace) {
                // Its pod may have been refused before this one went: the room stays its own.
                Some(key) => next.push(key),
                None => next.extend(self.let_first_retry(class, namespace)),
            }
        }
        next
    }

    /// The session of a blocked namespace whose pod is being created.
    fn retrying(&self, class: &str, namespace: &str) -> Option<SessionKey> {
        let uid = self.classes.get(class)?.blocked.get(namespace)?.retries.as_ref()?;
        let entry = self.entries.get(uid)?;
        let is_reserved = entry.class == class && matches!(entry.place, Place::Reserved(_));
        is_reserved.then(|| entry.key.clone())
    }

    /// Every session that waits, with its position.
    pub fn positions(&mut self, now: Timestamp) -> Vec<(SessionKey, i32)> {
        let Self { classes, entries, .. } = self;
        let positions = classes.values_mut().flat_map(|queue| queue.count_positions(now));
        positions
            .filter_map(|(uid, position)| Some((entries.get(uid)?.key.clone(), *position)))
            .collect()
    }

    /// How many sessions live and how many wait, by class.
    pub fn counts(&self) -> impl Iterator<Item = (&str, usize, usize)> {
        self.classes
            .iter()
            .map(|(name, queue)| (name.as_str(), queue.total_live(), queue.total_waiting()))
    }

    /// The same of one class.
    pub fn counts_of(&self, class: &str) -> (usize, usize) {
        let queue = self.classes.get(class);
        queue.map_or((0, 0), |queue| (queue.total_live(), queue.total_waiting()))
    }

    /// A session left a class: its place may be another's, and so may its retry.
    fn vacate(&mut self, class: &str, namespace: &str, uid: &str) -> Vec<SessionKey> {
        let mut next = self.end_retry(class, namespace, uid);
        let mut others = self.next_to_wake(class);
        others.retain(|key| !next.contains(key));
        next.extend(others);
        next
    }

    /// The session that retried, or was about to, does so no more.
    fn end_retry(&mut self, class: &str, namespace: &str, uid: &str) -> Vec<SessionKey> {
        let block = self.classes.get(class).and_then(|queue| queue.blocked.get(namespace));
        let retried =
            block.is_some_and(|block| block.retries.as_deref().is_none_or(|it| it == uid));
        if retried { self.let_first_retry(class, namespace) } else { Vec::new() }
    }

    /// Lets the first of a blocked namespace retry; a namespace where nobody waits is no longer blocked.
    fn let_first_retry(&mut self, class: &str, namespace: &str) -> Vec<SessionKey> {
        let queue = self.class(class);
        match queue.waiting.get(namespace).and_then(|waiting| waiting.first()) {
            Some(first) => {
                let first = first.uid.clone();
                queue.blocked.insert(namespace.to_owned(), QuotaBlock::default());
                self.keys(vec![first])
            }
            None => {
                queue.blocked.remove(namespace);
                Vec::new()
            }
        }
    }

    /// The next of a class, without those that retry by themselves: two that were refused would wake each other for ever.
    fn next_to_wake(&self, class: &str) -> Vec<SessionKey> {
        let Some(queue) = self.classes.get(class) else { return Vec::new() };
        let backs_off =
            |key: &SessionKey| queue.blocked.get(&key.namespace).is_some_and(|b| b.backs_off);
        let mut next = self.keys(queue.next());
        next.retain(|key| !backs_off(key));
        next
    }

    fn keys(&self, uids: Vec<String>) -> Vec<SessionKey> {
        uids.iter().filter_map(|uid| Some(self.entries.get(uid)?.key.clone())).collect()
    }

    fn find(&self, uid: &str) -> Option<(SessionKey, String)> {
        self.entries.get(uid).map(|entry| (entry.key.clone(), entry.class.clone()))
    }

    fn class(&mut self, name: &str) -> &mut ClassQueue {
        self.classes.entry(name.to_owned()).or_default()
    }

    fn wait(&mut self, key: SessionKey, class: &str, waiting: Waiting) {
        let queue = self.class(class).waiting.entry(key.namespace.clone()).or_default();
        queue.insert(waiting.clone());
        self.insert(key, class, Place::Waiting(waiting));
    }

    fn insert(&mut self, key: SessionKey, class: &str, place: Place) {
        self.entries.insert(key.uid.clone(), Entry { key, class: class.to_owned(), place });
    }

    fn remove(&mut self, uid: &str) -> Option<Place> {
        let Entry { key, class, place } = self.entries.remove(uid)?;
        let queue = self.class(&class);
        match &place {
            Place::Reserved(_) => {
                if let Some(live) = queue.live.get_mut(&key.namespace) {
                    *live -= 1;
                    if *live == 0 {
                        queue.live.remove(&key.namespace);
                    }
                }
            }
            Place::Waiting(waiting) => {
                if let Some(waiting_here) = queue.waiting.get_mut(&key.namespace) {
                    waiting_here.remove(waiting);
                    if waiting_here.is_empty() {
                        queue.waiting.remove(&key.namespace);
                    }
                }
            }
        }
        Some(place)
    }
}

#[cfg(test)]
impl AdmissionQueue {
    pub fn next(&self, class: &str) -> Vec<String> {
        self.classes.get(class).map(ClassQueue::next).unwrap_or_default()
    }

    pub fn set_capacity(&mut self, class: &str, capacity: usize) {
        self.class(class).capacity = Some(capacity);
    }
}

#[cfg(test)]
mod tests;
