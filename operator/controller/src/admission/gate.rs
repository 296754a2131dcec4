//! The admission queue as watches and reconciles share it: behind a lock, with its metrics, and restored from the objects.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use crds::{BrowserSession, Reason, names};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    class_queue::is_worth_a_write,
    queue::{Admission, AdmissionQueue},
};
use crate::{
    cache::{Stores, is_finished, is_forged, unreadable},
    metrics::Metrics,
    placing,
    session_key::SessionKey,
    work_queue::WorkQueue,
};

/// How long a queue may have moved before its sessions' positions are written: with `is_worth_a_write`, what bounds the
/// writes.
const POSITIONS_EVERY: Duration = Duration::from_secs(10);
/// How long the quota controller may take to notice that a pod is gone: it watches pods, too.
const QUOTA_LAG: Duration = Duration::from_secs(5);

pub struct Gate {
    queue: Mutex<AdmissionQueue>,
    /// When a pod of a namespace went whose quota was used up.
    quota_freed: Mutex<HashMap<String, Instant>>,
    /// The names of the classes that there are.
    classes: Mutex<HashSet<String>>,
    moved: Notify,
    /// How many lived and waited when this was told last, by class, and whom it is told.
    told: Mutex<HashMap<String, (usize, usize)>>,
    changed_classes: WorkQueue<String>,
    metrics: Metrics,
}

impl Gate {
    pub fn new(metrics: Metrics, changed_classes: WorkQueue<String>) -> Self {
        Self {
            queue: Mutex::default(),
            quota_freed: Mutex::default(),
            classes: Mutex::default(),
            moved: Notify::new(),
            told: Mutex::default(),
            changed_classes,
            metrics,
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut AdmissionQueue) -> T) -> T {
        let mut queue = self.queue.lock();
        let result = change(&mut queue);
        self.tell(&mut queue);
        result
    }

    fn tell(&self, queue: &mut AdmissionQueue) {
        let (classes, mut told) = (self.classes.lock(), self.told.lock());
        for gone in queue.forget_classes(|class| classes.contains(class)) {
            self.metrics.forget_queue(&gone);
            told.remove(&gone);
        }
        for (class, live, waiting) in queue.counts() {
            if told.get(class) == Some(&(live, waiting)) {
                continue;
            }
            self.metrics.set_queue(class, live, waiting);
            told.insert(class.to_owned(), (live, waiting));
            self.changed_classes.add(class.to_owned());
        }
        self.moved.notify_one();
    }

    /// How many sessions of a class live, and how many wait.
    pub fn counts(&self, class: &str) -> (usize, usize) {
        self.queue.lock().counts_of(class)
    }

    /// The classes that there are; what others had is forgotten with their last session.
    pub fn classes_are(&self, names: HashSet<String>) {
        *self.classes.lock() = names;
        self.change(|_| {});
    }

    /// Whether a session that has no pod may have one; if so, its place is reserved. `None`: it has ended.
    pub fn admit(
        &self,
        stores: &Stores,
        work: &WorkQueue<SessionKey>,
        session: &BrowserSession,
        class: &str,
        capacity: Option<usize>,
        now: Timestamp,
    ) -> Option<Admission> {
        let key = SessionKey::of_session(session)?;
        self.change(|queue| {
            // Looked up again under the lock: `release` comes after the store has the session's end.
            stores.session(&key).filter(|session| !is_finished(session))?;
            work.add_all(queue.enqueue(session, class));
            queue.set_ceiling(class, ceiling(stores, class));
            let admission = queue.admission(&key.uid, capacity, now);
            if admission == Admission::Admitted {
                queue.admit(&key.uid);
            }
            Some(admission)
        })
    }

    pub fn is_waiting(&self, uid: &str) -> bool {
        self.queue.lock().is_waiting(uid)
    }

    /// A session that has its pod has a place, whoever created the pod.
    pub fn has_pod(
        &self,
        stores: &Stores,
        work: &WorkQueue<SessionKey>,
        key: &SessionKey,
        pod: &Pod,
    ) {
        let mut queue = self.queue.lock();
        // One that somebody else made takes no place.
        if !is_forged(pod)
            && !queue.has_reservation(&key.uid)
            && stores.session(key).is_some_and(|session| !is_finished(&session))
        {
            work.add_all(queue.reserve(key, class_of(pod)));
            self.tell(&mut queue);
        }
        work.add_all(queue.pod_created(&key.uid));
    }

    /// This process created a session's pod.
    pub fn pod_created(&self, work: &WorkQueue<SessionKey>, key: &SessionKey) {
        work.add_all(self.change(|queue| queue.pod_created(&key.uid)));
    }

    /// The API server refused a session's pod. Others are reconciled now, this one after its back-off.
    pub fn pod_refused(
        &self,
        work: &WorkQueue<SessionKey>,
        key: &SessionKey,
        session: &BrowserSession,
        reason: Reason,
    ) {
        let next = self.change(|queue| queue.pod_refused(session, reason));
        work.add_all(next.into_iter().filter(|next| next != key));
    }

    /// A session has ended. Returns the sessions to reconcile again.
    pub fn release(&self, uid: &str) -> Vec<SessionKey> {
        self.change(|queue| queue.release(uid))
    }

    /// A pod of a namespace is gone. Returns the sessions to reconcile again.
    pub fn pod_gone(&self, namespace: &str) -> Vec<SessionKey> {
        let next = self.queue.lock().quota_freed(namespace);
        if !next.is_empty() {
            let mut freed = self.quota_freed.lock();
            freed.retain(|_, at| at.elapsed() < QUOTA_LAG);
            freed.insert(namespace.to_owned(), Instant::now());
        }
        next
    }

    /// Whether the quota of a namespace may not know yet that it has room again.
    pub fn quota_freed_lately(&self, namespace: &str) -> bool {
        let mut freed = self.quota_freed.lock();
        freed.retain(|_, at| at.elapsed() < QUOTA_LAG);
        freed.contains_key(namespace)
    }

    /// Puts every session that has not ended where it belongs, before the first is reconciled: the queue is the objects.
    pub fn restore(&self, stores: &Stores) {
        let classes = stores.classes();
        self.change(|queue| {
            let mut sessions = stores.sessions();
            sessions.retain(|session| !is_finished(session) && unreadable(session).is_none());
            // As they came, as far as that is known.
            sessions.sort_by_key(|session| {
                (session.metadata.creation_timestamp.clone(), session.name_any())
            });
            for session in &sessions {
                let Some(key) = SessionKey::of_session(session) else { continue };
                if let Some(pod) = stores.pod_of(&key).filter(|pod| !is_forged(pod)) {
                    drop(queue.reserve(&key, class_of(&pod)));
                } else if !stores.is_ours(session) {
                    continue;
                } else if let Ok(placement) = placing::place(session, &classes, None) {
                    let class = placement.class.name_any();
                    drop(queue.enqueue(session, &class));
                    let reason = session.telling_condition().map(|told| told.reason.as_str());
                    if reason == Some(Reason::QuotaExceeded.as_str()) {
                        queue.block(&class, &key.namespace);
                    }
                }
            }
        });
    }

    /// Reconciles those that wait when their positions have changed so far that their status should say so.
    pub async fn publish_positions(
        self: Arc<Self>,
        stores: Arc<Stores>,
        work: WorkQueue<SessionKey>,
        clock: fn() -> Timestamp,
        stop: CancellationToken,
    ) {
        let publishing = async {
            loop {
                self.moved.notified().await;
                sleep(POSITIONS_EVERY).await;
                let positions = self.queue.lock().positions(clock());
                for (key, position) in positions {
                    let written =
                        stores.session(&key).and_then(|s| s.status.as_ref()?.queue_position);
                    if written.is_some_and(|written| is_worth_a_write(Some(written), position)) {
                        work.add(key);
                    }
                }
            }
        };
        stop.run_until_cancelled(publishing).await;
    }
}

/// How many sessions of one namespace a class takes.
fn ceiling(stores: &Stores, class: &str) -> Option<usize> {
    let classes = stores.classes();
    let class = classes.iter().find(|known| known.metadata.name.as_deref() == Some(class))?;
    usize::try_from(class.spec.ceilings.as_ref()?.sessions_per_namespace?).ok()
}

fn class_of(pod: &Pod) -> &str {
    pod.labels().get(names::CLASS_LABEL).map_or("", |class| class)
}
