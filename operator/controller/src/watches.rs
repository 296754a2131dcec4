//! One watch per kind: into a store to look things up in, and into the queue of keys that changed.

use std::{fmt::Debug, sync::Arc};

use crds::{BrowserClass, BrowserSession, names};
use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Client, Resource,
    runtime::{
        reflector::{self, ObjectRef, Store},
        watcher,
    },
};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{build::pod_name, key::Key};

/// What the watches have seen.
pub struct Stores {
    sessions: Store<BrowserSession>,
    pods: Store<Pod>,
    classes: Store<BrowserClass>,
}

impl Stores {
    /// Waits until each watch has listed what there is.
    pub async fn wait_until_ready(&self) {
        // A writer is dropped only at the end of its watch, with the process.
        let _ = self.sessions.wait_until_ready().await;
        let _ = self.pods.wait_until_ready().await;
        let _ = self.classes.wait_until_ready().await;
    }

    /// The session of a key, in that life.
    pub fn session(&self, key: &Key) -> Option<Arc<BrowserSession>> {
        self.sessions
            .get(&ObjectRef::new(&key.name).within(&key.namespace))
            .filter(|session| session.metadata.uid.as_ref() == Some(&key.uid))
    }

    /// Whether a session has its pod.
    pub fn has_pod(&self, session: &BrowserSession) -> bool {
        Key::of_session(session)
            .is_some_and(|key| self.pod(&key.namespace, &pod_name(&key)).is_some())
    }

    /// A pod by its name.
    pub fn pod(&self, namespace: &str, name: &str) -> Option<Arc<Pod>> {
        self.pods.get(&ObjectRef::new(name).within(namespace))
    }

    /// Every class.
    pub fn classes(&self) -> Vec<Arc<BrowserClass>> {
        self.classes.state()
    }

    /// Every session.
    pub fn sessions(&self) -> Vec<Arc<BrowserSession>> {
        self.sessions.state()
    }
}

/// Starts the watches.
pub fn start(
    client: &Client,
    stop: &CancellationToken,
    tasks: &TaskTracker,
) -> (Stores, mpsc::UnboundedReceiver<Key>) {
    let (keys, changed) = mpsc::unbounded_channel();
    let ours = watcher::Config::default().labels(&format!(
        "{}={}",
        names::MANAGED_BY_LABEL,
        names::MANAGED_BY
    ));
    let all = watcher::Config::default();

    let session_keys = keys.clone();
    let sessions =
        watch::<BrowserSession>(client, all.clone(), stop, tasks, move |touched, store| {
            for session in touched {
                send(&session_keys, Key::of_session(session));
            }
            // One that is over may make room for those that wait.
            let is_over = |session: &BrowserSession| {
                session.is_terminal() || store.get(&ObjectRef::from_obj(session)).is_none()
            };
            if touched.iter().any(|session| is_over(session)) {
                wake_waiting(store, &session_keys);
            }
        });
    let pod_keys = keys.clone();
    let pods = watch::<Pod>(client, ours, stop, tasks, move |touched, _| {
        for pod in touched {
            send(&pod_keys, Key::of_pod(pod));
        }
    });
    // A class that comes or changes may be what a session waits for.
    let waiting = sessions.clone();
    let classes = watch::<BrowserClass>(client, all, stop, tasks, move |_, _| {
        wake_waiting(&waiting, &keys);
    });
    (Stores { sessions, pods, classes }, changed)
}

/// Looks again at every session that has no pod yet.
fn wake_waiting(sessions: &Store<BrowserSession>, keys: &mpsc::UnboundedSender<Key>) {
    let has_pod = |session: &BrowserSession| {
        session.status.as_ref().is_some_and(|status| status.pod_name.is_some())
    };
    for session in sessions.state().iter().filter(|s| !s.is_terminal() && !has_pod(s)) {
        send(keys, Key::of_session(session));
    }
}

fn send(keys: &mpsc::UnboundedSender<Key>, key: Option<Key>) {
    // Nobody listens only after the end of the queue, and so of the process.
    let _ = key.map(|key| keys.send(key));
}

/// Watches one kind. `seen` is told of the objects that an event touched, after the store has it: those that came,
/// changed or went; after a new list, all that were or are there.
fn watch<K>(
    client: &Client,
    config: watcher::Config,
    stop: &CancellationToken,
    tasks: &TaskTracker,
    seen: impl Fn(&[Arc<K>], &Store<K>) + Send + 'static,
) -> Store<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let (store, mut writer) = reflector::store::<K>();
    let told = store.clone();
    let events = runtime::watch::events::<K>(client, config, stop.clone());
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
