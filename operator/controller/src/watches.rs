//! One watch per kind: into a store to look things up in, and into the queue of keys that changed.

use std::{collections::HashMap, fmt::Debug, sync::Arc};

use crds::{BrowserClass, BrowserSession, names};
use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::{Pod, PodSpec, Service};
use kube::{
    Client, Resource, ResourceExt,
    core::PartialObjectMeta,
    runtime::{
        reflector::{self, ObjectRef, Store},
        watcher,
    },
};
use parking_lot::{Mutex, RwLock};
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{build::pod_name, key::Key, shared::is_over};

/// What the watches have seen.
pub struct Stores {
    sessions: Store<BrowserSession>,
    pods: Store<Pod>,
    services: Store<PartialObjectMeta<Service>>,
    classes: Arc<RwLock<Arc<[BrowserClass]>>>,
    classes_listed: Store<BrowserClass>,
    /// By uid: what this process wrote and its watch has not told of yet.
    written: Mutex<HashMap<String, Arc<BrowserSession>>>,
}

impl Stores {
    /// Waits until each watch has listed what there is.
    pub async fn wait_until_ready(&self) {
        // A writer is dropped only at the end of its watch, with the process.
        let _ = self.sessions.wait_until_ready().await;
        let _ = self.pods.wait_until_ready().await;
        let _ = self.services.wait_until_ready().await;
        let _ = self.classes_listed.wait_until_ready().await;
    }

    /// The session of a key, in that life: as the watch has told of it, or as this process wrote it since.
    pub fn session(&self, key: &Key) -> Option<Arc<BrowserSession>> {
        let told = self
            .sessions
            .get(&ObjectRef::new(&key.name).within(&key.namespace))
            .filter(|session| session.metadata.uid.as_ref() == Some(&key.uid));
        let mut written = self.written.lock();
        let newer = written
            .get(&key.uid)
            .filter(|written| told.as_ref().is_some_and(|told| version(told) < version(written)));
        match newer {
            Some(newer) => Some(newer.clone()),
            None => {
                written.remove(&key.uid);
                told
            }
        }
    }

    /// A session is so by now, as the API server has answered.
    pub fn wrote(&self, session: BrowserSession) {
        if let Some(uid) = session.metadata.uid.clone() {
            self.written.lock().insert(uid, Arc::new(session));
        }
    }

    /// A session's pod. One of its name that is not its own is not ours to touch.
    pub fn pod_of(&self, key: &Key) -> Option<Arc<Pod>> {
        self.pod(&key.namespace, &pod_name(key))
            .filter(|pod| Key::of_pod(pod).as_ref() == Some(key))
    }

    /// A pod by its name.
    pub fn pod(&self, namespace: &str, name: &str) -> Option<Arc<Pod>> {
        self.pods.get(&ObjectRef::new(name).within(namespace))
    }

    /// Whether there is a Service of that name.
    pub fn has_service(&self, namespace: &str, name: &str) -> bool {
        self.services.get(&ObjectRef::new(name).within(namespace)).is_some()
    }

    /// Every class.
    pub fn classes(&self) -> Arc<[BrowserClass]> {
        self.classes.read().clone()
    }

    /// Every session.
    pub fn sessions(&self) -> Vec<Arc<BrowserSession>> {
        self.sessions.state()
    }
}

/// What the watches tell, beside which keys have changed.
pub trait Listener: Send + Sync + 'static {
    /// A session is over. Gives whom to look at.
    fn over(&self, uid: &str) -> Vec<Key>;
    /// A pod is gone; `lives` tells whether the session that it was made for has not ended. Gives whom to look at.
    fn pod_gone(&self, pod: &Pod, lives: &dyn Fn(&Key) -> bool) -> Vec<Key>;
    /// A Service is gone.
    fn service_gone(&self, namespace: &str, name: &str);
}

/// Starts the watches.
pub fn start(
    client: &Client,
    listener: &Arc<impl Listener>,
    stop: &CancellationToken,
    tasks: &TaskTracker,
) -> (Stores, Keys, mpsc::UnboundedReceiver<Key>) {
    let (send, changed) = mpsc::unbounded_channel();
    let keys = Keys(send);
    let ours = watcher::Config::default().labels(&format!(
        "{}={}",
        names::MANAGED_BY_LABEL,
        names::MANAGED_BY
    ));
    let all = watcher::Config::default();

    let (told, send) = (listener.clone(), keys.clone());
    let events = support::watch::events::<BrowserSession>(client, all.clone(), stop.clone());
    let sessions = watch(events, tasks, move |touched, store| {
        for session in touched {
            let there = store.get(&ObjectRef::from_obj(session));
            let gone = there.is_none_or(|there| there.metadata.uid != session.metadata.uid);
            if (gone || is_over(session))
                && let Some(uid) = &session.metadata.uid
            {
                send.send_all(told.over(uid));
            }
            send.send(Key::of_session(session));
        }
    });
    let (told, send, theirs) = (listener.clone(), keys.clone(), sessions.clone());
    let events = support::watch::events::<Pod>(client, ours.clone(), stop.clone()).map(slim);
    let pods = watch(events, tasks, move |touched, store| {
        let lives = |key: &Key| {
            let session = theirs.get(&ObjectRef::new(&key.name).within(&key.namespace));
            session.is_some_and(|session| {
                session.metadata.uid.as_ref() == Some(&key.uid) && !is_over(&session)
            })
        };
        for pod in touched {
            let there = store.get(&ObjectRef::from_obj(pod));
            // Before its session is looked at.
            if there.is_none_or(|there| there.metadata.uid != pod.metadata.uid) {
                send.send_all(told.pod_gone(pod, &lives));
            }
            send.send(Key::of_pod(pod));
        }
    });
    let (told, send, theirs) = (listener.clone(), keys.clone(), sessions.clone());
    let events = support::watch::metadata::<Service>(client, ours, stop.clone());
    let services = watch(events, tasks, move |touched, store| {
        for service in touched {
            let (Some(namespace), name) = (service.namespace(), service.name_any()) else {
                continue;
            };
            if store.get(&ObjectRef::from_obj(service)).is_some() {
                continue;
            }
            told.service_gone(&namespace, &name);
            match Key::of_owner(&service.metadata) {
                Some(key) => send.send(Some(key)),
                // The namespace's: whoever lives there notices.
                None => theirs
                    .state()
                    .iter()
                    .filter(|s| s.namespace().as_ref() == Some(&namespace) && !s.is_terminal())
                    .for_each(|session| send.send(Key::of_session(session))),
            }
        }
    });
    // A class that comes or changes may be what a session waits for.
    let classes = Arc::new(RwLock::new(Arc::from(Vec::new())));
    let (snapshot, waiting, send) = (classes.clone(), sessions.clone(), keys.clone());
    let events = support::watch::events::<BrowserClass>(client, all, stop.clone());
    let classes_listed = watch(events, tasks, move |_, store| {
        let all: Vec<BrowserClass> =
            store.state().iter().map(|class| BrowserClass::clone(class)).collect();
        *snapshot.write() = all.into();
        wake_waiting(&waiting, &send);
    });
    let written = Mutex::default();
    (Stores { sessions, pods, services, classes, classes_listed, written }, keys, changed)
}

/// Which write an object is of: etcd counts them, and Kubernetes' resource versions can be compared as numbers (API concepts,
/// "Resource versions").
fn version(session: &BrowserSession) -> u64 {
    session.metadata.resource_version.as_deref().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Leaves of a pod what is looked at here: there may be ten thousand.
fn slim(mut event: watcher::Event<Pod>) -> watcher::Event<Pod> {
    if let watcher::Event::Apply(pod) | watcher::Event::InitApply(pod) = &mut event {
        let node_name = pod.spec.take().and_then(|spec| spec.node_name);
        pod.spec = Some(PodSpec { node_name, ..PodSpec::default() });
    }
    event
}

/// Where keys that have changed are put.
#[derive(Clone)]
pub struct Keys(mpsc::UnboundedSender<Key>);

impl Keys {
    /// This one has changed.
    pub fn send(&self, key: Option<Key>) {
        // Nobody listens only after the end of the queue, and so of the process.
        let _ = key.map(|key| self.0.send(key));
    }

    /// These have.
    pub fn send_all(&self, keys: Vec<Key>) {
        keys.into_iter().for_each(|key| self.send(Some(key)));
    }
}

/// Looks again at every session that has no pod yet.
fn wake_waiting(sessions: &Store<BrowserSession>, keys: &Keys) {
    let has_pod = |session: &BrowserSession| {
        session.status.as_ref().is_some_and(|status| status.pod_name.is_some())
    };
    for session in sessions.state().iter().filter(|s| !s.is_terminal() && !has_pod(s)) {
        keys.send(Key::of_session(session));
    }
}

/// Watches one kind. `seen` is told of the objects that an event touched, after the store has it: those that came,
/// changed or went; after a new list, all that were or are there.
fn watch<K>(
    events: impl Stream<Item = watcher::Event<K>> + Send + 'static,
    tasks: &TaskTracker,
    seen: impl Fn(&[Arc<K>], &Store<K>) + Send + 'static,
) -> Store<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
{
    let (store, mut writer) = reflector::store::<K>();
    let told = store.clone();
    tasks.spawn(async move {
        let mut events = std::pin::pin!(events);
        while let Some(event) = events.next().await {
            let mut touched = match &event {
                watcher::Event::Apply(object) | watcher::Event::Delete(object) => {
                    vec![Arc::new(object.clone())]
                }
                watcher::Event::InitDone => told.state(),
                watcher::Event::Init | watcher::Event::InitApply(_) => Vec::new(),
            };
            writer.apply_watcher_event(&event);
            if matches!(event, watcher::Event::InitDone) {
                touched.extend(told.state());
            }
            if !touched.is_empty() {
                seen(&touched, &told);
            }
        }
    });
    store
}
