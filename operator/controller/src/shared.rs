//! What the watches and the looks have in common: whose turn it is, and which Services are there.

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

use crate::{
    build::pod_name,
    key::Key,
    line::{Line, Turn, is_news},
    metrics::Metrics,
    observe::{Trouble, observe_gone},
    watches::{Keys, Listener, Stores},
};

/// How long a line may have moved before those who wait in it are told: with `is_news`, what bounds the writes.
const POSITIONS_EVERY: Duration = Duration::from_secs(10);
/// How long a quota may take to know that a pod is gone: whoever counts for it watches pods, too.
const QUOTA_LAG: Duration = Duration::from_secs(5);

/// See the module.
pub struct Shared {
    line: Mutex<Line>,
    /// Services that this process has applied, by namespace and name: the watch tells of them later.
    applied: Mutex<HashSet<(String, String)>>,
    /// The uids of pods that this process has deleted and its watch still has.
    deleted: Mutex<HashSet<String>>,
    /// Why pods ended that are gone, by the uids of sessions that have not ended yet: who takes a pod away often says so just before,
    /// and both are heard at once.
    gone: Mutex<HashMap<String, Trouble>>,
    /// When a pod went of a namespace whose quota was used up.
    freed: Mutex<HashMap<String, Instant>>,
    moved: Notify,
    metrics: Metrics,
}

/// Whether a session needs no place any more. One that is being deleted is kept only by somebody's finalizer.
pub fn is_over(session: &BrowserSession) -> bool {
    session.is_terminal() || session.metadata.deletion_timestamp.is_some()
}

impl Listener for Shared {
    fn over(&self, uid: &str) -> Vec<Key> {
        self.gone.lock().remove(uid);
        self.change(|line| line.leave(uid))
    }

    fn pod_gone(&self, pod: &Pod, lives: &dyn Fn(&Key) -> bool) -> Vec<Key> {
        pod.metadata.uid.as_ref().map(|uid| self.deleted.lock().remove(uid));
        if let Some(key) = Key::of_pod(pod) {
            // Asked under the lock: `over` comes after the store has the end.
            let mut gone = self.gone.lock();
            match observe_gone(pod).filter(|_| lives(&key)) {
                Some(trouble) => drop(gone.insert(key.uid, trouble)),
                None => drop(gone.remove(&key.uid)),
            }
        }
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let next = self.line.lock().has_room(namespace);
        if !next.is_empty() {
            self.freed.lock().insert(namespace.to_owned(), Instant::now());
        }
        next
    }

    fn service_gone(&self, namespace: &str, name: &str) {
        self.applied.lock().remove(&(namespace.to_owned(), name.to_owned()));
    }
}

impl Shared {
    /// Nobody is there yet.
    pub fn new(metrics: Metrics) -> Self {
        let (line, moved) = (Mutex::default(), Notify::new());
        let (applied, deleted, gone) = (Mutex::default(), Mutex::default(), Mutex::default());
        let freed = Mutex::default();
        Self { line, applied, deleted, gone, freed, moved, metrics }
    }

    /// Changes the line, in one go.
    pub fn change<T>(&self, change: impl FnOnce(&mut Line) -> T) -> T {
        let mut line = self.line.lock();
        let result = change(&mut line);
        for (class, live, waiting) in line.counts() {
            self.metrics.in_line(class, live, waiting);
        }
        self.moved.notify_one();
        result
    }

    /// Whether a session that has no pod may have one; if so, it has its place. One that is over by now has no turn.
    pub fn turn(
        &self,
        stores: &Stores,
        keys: &Keys,
        session: &BrowserSession,
        class: &str,
        capacity: Option<usize>,
        now: Timestamp,
    ) -> Option<Turn> {
        let key = Key::of_session(session)?;
        self.change(|line| {
            // Looked up again under the lock: whoever tells the line of an end does so after the store has it.
            stores.session(&key).filter(|session| !is_over(session))?;
            keys.send_all(line.join(session, class));
            let turn = line.turn(&key.uid, capacity, now);
            if turn == Turn::Go {
                line.take(&key.uid);
            }
            Some(turn)
        })
    }

    /// Whether a session stands in the line.
    pub fn waits(&self, uid: &str) -> bool {
        self.line.lock().waits(uid)
    }

    /// A session that has its pod has a place, whoever made it, and however much was heard of its making.
    pub fn has_pod(&self, stores: &Stores, keys: &Keys, key: &Key, class: &str) {
        let mut line = self.line.lock();
        if !line.is_seated(&key.uid)
            && stores.session(key).is_some_and(|session| !is_over(&session))
        {
            keys.send_all(line.seat(key, class));
        }
        keys.send_all(line.made(&key.uid));
    }

    /// Whether a quota of the namespace may not know yet that there is room again.
    pub fn freed_lately(&self, namespace: &str) -> bool {
        let mut freed = self.freed.lock();
        freed.retain(|_, at| at.elapsed() < QUOTA_LAG);
        freed.contains_key(namespace)
    }

    /// Puts every session that has not ended where it belongs, before the first is looked at: the queue is the objects.
    pub fn line_up(&self, stores: &Stores) {
        let classes = stores.classes();
        self.change(|line| {
            let mut sessions = stores.sessions();
            sessions.retain(|session| !is_over(session));
            // As they came, as far as that is known.
            sessions.sort_by_key(|session| {
                (session.metadata.creation_timestamp.clone(), session.name_any())
            });
            for session in &sessions {
                let Some(key) = Key::of_session(session) else { continue };
                if let Some(pod) = stores.pod_of(&key) {
                    let class = pod.labels().get(names::CLASS_LABEL).map_or("", |class| class);
                    drop(line.seat(&key, class));
                } else if let Ok(placement) = placement::place(&session.spec, &classes) {
                    let class = placement.class.name_any();
                    drop(line.join(session, &class));
                    let told = session.ready_condition().map(|ready| ready.reason.as_str());
                    if told == Some(Reason::QuotaExceeded.as_str()) {
                        line.close(&class, &key.namespace);
                    }
                }
            }
        });
    }

    /// Looks again at those who wait, when the line has moved so far that they should know.
    pub async fn tell_positions(
        self: Arc<Self>,
        stores: Arc<Stores>,
        keys: Keys,
        clock: fn() -> Timestamp,
        stop: CancellationToken,
    ) {
        let telling = async {
            loop {
                self.moved.notified().await;
                sleep(POSITIONS_EVERY).await;
                let positions = self.line.lock().positions(clock());
                for (key, position) in positions {
                    let written =
                        stores.session(&key).and_then(|s| s.status.as_ref()?.queue_position);
                    if written.is_some_and(|written| is_news(Some(written), position)) {
                        keys.send(Some(key));
                    }
                }
            }
        };
        tokio::select! {
            () = telling => {}
            () = stop.cancelled() => {}
        }
    }

    /// Why the pod of the session with this uid ended, if it went without being looked at.
    pub fn why_gone(&self, uid: &str) -> Option<Trouble> {
        self.gone.lock().get(uid).cloned()
    }

    /// Whether this process has deleted that pod.
    pub fn has_deleted(&self, pod: &Pod) -> bool {
        pod.metadata.uid.as_ref().is_some_and(|uid| self.deleted.lock().contains(uid))
    }

    /// A pod was deleted. One that the watch has let go of by now is not kept in mind.
    pub fn deleted(&self, stores: &Stores, pod: &Pod) {
        let (Some(uid), Some(namespace)) = (pod.uid(), pod.namespace()) else { return };
        let mut deleted = self.deleted.lock();
        let there = stores.pod(&namespace, &pod.name_any());
        if there.is_some_and(|there| there.metadata.uid.as_ref() == Some(&uid)) {
            deleted.insert(uid);
        }
    }

    /// Whether the Services that name a session's pod are there.
    pub fn has_services(&self, stores: &Stores, key: &Key, session: &BrowserSession) -> bool {
        self.has_service(stores, &key.namespace, names::BROWSERS_SERVICE)
            && (session.spec.expose.is_none()
                || self.has_service(stores, &key.namespace, &pod_name(key)))
    }

    /// Whether there is a Service of that name, as far as is known.
    pub fn has_service(&self, stores: &Stores, namespace: &str, name: &str) -> bool {
        stores.has_service(namespace, name)
            || self.applied.lock().contains(&(namespace.to_owned(), name.to_owned()))
    }

    /// A Service was applied.
    pub fn applied(&self, namespace: &str, name: &str) {
        self.applied.lock().insert((namespace.to_owned(), name.to_owned()));
    }
}
