//! One watch per kind: into a store to look things up in, and into the work queue of sessions to reconcile.

use std::{
    collections::{HashMap, HashSet},
    fmt::Debug,
    sync::Arc,
};

use agent_api::{PodRef, installation_key::InstallationKey};
use crds::{BrowserClass, BrowserSession, names};
use futures::{Stream, StreamExt, future::ready};
use k8s_openapi::api::core::v1::{Pod, PodSpec, Secret, Service};
use kube::{
    Client, Resource, ResourceExt,
    api::ObjectMeta,
    runtime::{
        reflector::{self, ObjectRef, Store},
        watcher::{self, Event},
    },
};
use parking_lot::{Mutex, RwLock};
use support::{
    objects::Sent,
    panics::essential,
    watch::{self, Scope},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    class_owners::{ClassOwners, pod_selector},
    forged,
    kept::kept,
    stores::{PodIndex, Stores, is_finished},
};
use crate::{pods::pod_ref, session_key::SessionKey, settings::Settings, work_queue::WorkQueue};

/// What the watches tell, beside which sessions have changed.
pub trait Listener: Send + Sync + 'static {
    /// A pod came or changed.
    fn pod_seen(&self, pod: &Pod);
    /// A session has ended. Returns the sessions to reconcile again.
    fn session_finished(&self, key: &SessionKey) -> Vec<SessionKey>;
    /// A pod is gone; `lives` tells whether its session has not ended. Returns the sessions to reconcile again.
    fn pod_gone(&self, pod: &Pod, lives: &dyn Fn(&SessionKey) -> bool) -> Vec<SessionKey>;
    /// A Service came, changed or went.
    fn service_told(&self, service: &ObjectMeta);
    /// The watch of Services has listed them anew.
    fn services_listed(&self);
    /// The names of the classes that there are, after some of them came, changed or went.
    fn classes_are(&self, names: HashSet<String>, touched: Vec<String>);
}

/// Starts the watches.
pub fn start(
    client: &Client,
    key: &InstallationKey,
    settings: &Settings,
    listener: &Arc<impl Listener>,
    queue: &WorkQueue<SessionKey>,
    stop: &CancellationToken,
    tasks: &TaskTracker,
) -> Stores {
    let Settings { controller_name, namespaces: scope, operator_namespace, .. } = settings;
    let all = watcher::Config::default();
    let managed = all.clone().labels(&format!("{}={}", names::MANAGED_BY_LABEL, names::MANAGED_BY));
    let our_pods = all.clone().labels(&pod_selector(controller_name));

    let events = watch::objects_in::<BrowserSession>(client, scope, all.clone(), stop)
        .filter_map(|event| ready(keep(event)));
    let sessions = follow(events, tasks, {
        let (listener, queue) = (listener.clone(), queue.clone());
        move |touched, store| {
            for session in touched {
                if (is_gone(&**session, store) || is_finished(session))
                    && let Some(key) = SessionKey::of_session(session)
                {
                    queue.add_all(listener.session_finished(&key));
                }
                queue.add_all(SessionKey::of_session(session));
            }
        }
    });

    let pod_index = PodIndex::default();
    let events = watch::objects_in::<Pod>(client, scope, our_pods, stop)
        .map({
            let key = key.clone();
            move |event| slim(event, &key)
        })
        .inspect({
            let mut indexer = PodIndexer { index: pod_index.clone(), listed: HashMap::new() };
            // Before the store has the pod: who finds it there finds it by its session too.
            move |event| indexer.see(event)
        });
    let pods = follow(events, tasks, {
        let (listener, queue) = (listener.clone(), queue.clone());
        let sessions = sessions.clone();
        move |touched, store| {
            let lives = |key: &SessionKey| {
                let session = sessions.get(&ObjectRef::new(&key.name).within(&key.namespace));
                session.is_some_and(|session| {
                    session.metadata.uid.as_ref() == Some(&key.uid) && !is_finished(&session)
                })
            };
            for pod in touched {
                // Before its session is reconciled.
                if is_gone(&**pod, store) {
                    queue.add_all(listener.pod_gone(pod, &lives));
                } else {
                    listener.pod_seen(pod);
                }
                queue.add_all(SessionKey::of_pod(pod));
            }
        }
    });

    let events = watch::metadata::<Service>(client, scope, managed, stop).inspect({
        let listener = listener.clone();
        move |event| {
            if matches!(event, Event::InitDone) {
                listener.services_listed();
            }
        }
    });
    let services = follow(events, tasks, {
        let (listener, queue, sessions) = (listener.clone(), queue.clone(), sessions.clone());
        move |touched, store| {
            for service in touched {
                listener.service_told(&service.metadata);
                let Some(namespace) = service.namespace() else { continue };
                if store.get(&ObjectRef::from_obj(service)).is_some() {
                    continue;
                }
                match SessionKey::of_owner(&service.metadata) {
                    Some(key) => queue.add(key),
                    // The namespace's own: every live session there applies it again.
                    None => {
                        let sessions = sessions.state().into_iter().filter(|session| {
                            session.namespace().as_ref() == Some(&namespace)
                                && !session.is_terminal()
                        });
                        queue.add_all(sessions.filter_map(|s| SessionKey::of_session(&s)));
                    }
                }
            }
        }
    });

    let of_sessions = format!("{}={}", names::USE_LABEL, names::USE_SESSION_PROXY);
    let of_sessions = watcher::Config::default().labels(&of_sessions);
    let own = Scope::Namespaces(vec![operator_namespace.clone()]);
    let events = watch::metadata::<Secret>(client, &own, of_sessions, stop);
    let brought = follow(events, tasks, {
        let (queue, scope) = (queue.clone(), scope.clone());
        move |touched, _| {
            let keys = touched.iter().filter_map(|secret| SessionKey::of_brought(&secret.metadata));
            queue.add_all(keys.filter(|key| scope.has(&key.namespace)));
        }
    });

    // A class that comes or changes may be what a session waits for.
    let classes = Arc::new(RwLock::new(Arc::from(Vec::new())));
    let class_owners = Arc::new(RwLock::new(ClassOwners::default()));
    let events = watch::objects::<BrowserClass>(client, all, stop.clone());
    let classes_listed = follow(events, tasks, {
        let (snapshot, sessions, queue, listener) =
            (classes.clone(), sessions.clone(), queue.clone(), listener.clone());
        let (owners, controller_name) = (class_owners.clone(), controller_name.clone());
        move |touched, store| {
            let mut all: Vec<BrowserClass> = store
                .state()
                .iter()
                .filter_map(|class| match &**class {
                    Sent::Readable(class) => Some(class.clone()),
                    Sent::Unreadable(unreadable) => {
                        let name = unreadable.metadata.name.as_deref().unwrap_or_default();
                        tracing::warn!(name, "BrowserClass: {}", unreadable.problem);
                        None
                    }
                })
                .collect();
            *owners.write() = ClassOwners::new(all.iter());
            all.retain(|class| class.spec.controller_name == controller_name);
            all.sort_by_key(ResourceExt::name_any);
            let names = all.iter().map(ResourceExt::name_any).collect();
            let before = std::mem::replace(&mut *snapshot.write(), all.into());
            listener.classes_are(names, touched.iter().map(|class| class.name_any()).collect());
            // A status alone changes nothing for those who wait, and this controller writes it.
            if !same_offers(&before, &snapshot.read()) {
                queue.add_all(without_pod(&sessions));
            }
        }
    });

    let written = Mutex::new(HashMap::new());
    let controller_name = controller_name.clone();
    Stores {
        sessions,
        pods,
        pod_index,
        services,
        brought,
        operator_namespace: operator_namespace.clone(),
        classes,
        class_owners,
        controller_name,
        classes_listed,
        written,
    }
}

/// Whether classes are the same but for their statuses.
fn same_offers(before: &[BrowserClass], now: &[BrowserClass]) -> bool {
    before.len() == now.len()
        && before.iter().zip(now).all(|(one, other)| {
            one.metadata.name == other.metadata.name
                && one.metadata.annotations == other.metadata.annotations
                && one.spec == other.spec
        })
}

/// Whether an object that an event touched is not in its store, or another object of its name is.
fn is_gone<K>(object: &K, store: &Store<K>) -> bool
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    let stored = store.get(&ObjectRef::from_obj(object));
    stored.is_none_or(|stored| stored.meta().uid != object.meta().uid)
}

/// Keeps the index of pods.
struct PodIndexer {
    index: PodIndex,
    /// What the list that is under way has had so far.
    listed: HashMap<String, PodRef>,
}

impl PodIndexer {
    fn see(&mut self, event: &Event<Pod>) {
        let entry = |pod: &Pod| SessionKey::of_pod(pod).map(|key| (key.uid, pod_ref(pod)));
        match event {
            Event::Init => self.listed.clear(),
            Event::InitApply(pod) => {
                self.listed.extend(entry(pod));
                self.index.write().extend(entry(pod));
            }
            // What a new list lacks is gone.
            Event::InitDone => *self.index.write() = std::mem::take(&mut self.listed),
            Event::Apply(pod) => self.index.write().extend(entry(pod)),
            Event::Delete(pod) => {
                let Some((uid, gone)) = entry(pod) else { return };
                let mut index = self.index.write();
                if index.get(&uid) == Some(&gone) {
                    index.remove(&uid);
                }
            }
        }
    }
}

fn keep(event: Event<Sent<BrowserSession>>) -> Option<Event<BrowserSession>> {
    Some(match event {
        Event::Init => Event::Init,
        Event::InitApply(session) => Event::InitApply(kept(session)?),
        Event::InitDone => Event::InitDone,
        Event::Apply(session) => Event::Apply(kept(session)?),
        Event::Delete(session) => Event::Delete(kept(session)?),
    })
}

fn known_pod(sent: Sent<Pod>) -> Pod {
    match sent {
        Sent::Readable(pod) => pod,
        Sent::Unreadable(unreadable) => Pod { metadata: unreadable.metadata, ..Pod::default() },
    }
}

/// Keeps of a pod what is read here: there may be ten thousand.
fn slim(event: Event<Sent<Pod>>, key: &InstallationKey) -> Event<Pod> {
    let mut event = match event {
        Event::Init => Event::Init,
        Event::InitApply(sent) => Event::InitApply(known_pod(sent)),
        Event::InitDone => Event::InitDone,
        Event::Apply(sent) => Event::Apply(known_pod(sent)),
        Event::Delete(sent) => Event::Delete(known_pod(sent)),
    };
    if let Event::Apply(pod) | Event::InitApply(pod) = &mut event {
        forged::mark(pod, key);
        let PodSpec { node_name, subdomain, .. } = pod.spec.take().unwrap_or_default();
        pod.spec = Some(PodSpec { node_name, subdomain, ..PodSpec::default() });
    }
    event
}

/// Every live session that has no pod yet.
fn without_pod(sessions: &Store<BrowserSession>) -> Vec<SessionKey> {
    let has_pod = |session: &BrowserSession| {
        session.status.as_ref().is_some_and(|status| status.pod_name.is_some())
    };
    let waiting = sessions.state().into_iter().filter(|s| !s.is_terminal() && !has_pod(s));
    waiting.filter_map(|session| SessionKey::of_session(&session)).collect()
}

/// Watches one kind. `on_change` gets the objects that an event touched, after the store has it: those that came, changed or
/// went; after a new list, all that were or are there.
pub fn follow<K>(
    events: impl Stream<Item = Event<K>> + Send + 'static,
    tasks: &TaskTracker,
    on_change: impl Fn(&[Arc<K>], &Store<K>) + Send + 'static,
) -> Store<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
{
    let (store, mut writer) = reflector::store::<K>();
    let reader = store.clone();
    tasks.spawn(essential(async move {
        let mut events = std::pin::pin!(events);
        while let Some(event) = events.next().await {
            let mut touched = match &event {
                Event::Apply(object) | Event::Delete(object) => vec![Arc::new(object.clone())],
                Event::InitDone => reader.state(),
                Event::Init | Event::InitApply(_) => Vec::new(),
            };
            writer.apply_watcher_event(&event);
            if matches!(event, Event::InitDone) {
                touched.extend(reader.state());
            }
            if !touched.is_empty() {
                on_change(&touched, &reader);
            }
        }
    }));
    store
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(name: &str, session_uid: &str) -> Pod {
        serde_json::from_value(json!({"metadata": {
            "name": name, "namespace": "n", "ownerReferences": [{
                "apiVersion": "browser-operator.io/v1alpha1", "kind": "BrowserSession",
                "name": "s", "uid": session_uid,
            }],
        }}))
        .unwrap()
    }

    #[test]
    fn a_class_offers_the_same_while_only_its_status_changes() {
        let class: BrowserClass = serde_json::from_value(json!({
            "apiVersion": "browser-operator.io/v1alpha1", "kind": "BrowserClass",
            "metadata": {"name": "c", "resourceVersion": "1"},
            "spec": {"browserName": "chrome", "versions": [{"version": "1", "image": "i"}]},
        }))
        .unwrap();
        let (mut status, mut spec, mut default) = (class.clone(), class.clone(), class.clone());
        status.metadata.resource_version = Some("2".into());
        status.status = Some(crds::BrowserClassStatus { live: 1, ..Default::default() });
        spec.spec.capacity = Some(1);
        let is_default = (names::DEFAULT_CLASS_ANNOTATION.to_owned(), "true".to_owned());
        default.annotations_mut().extend([is_default]);
        let before = [class];
        for (now, same) in
            [(vec![status], true), (vec![spec], false), (vec![default], false), (vec![], false)]
        {
            assert_eq!(same_offers(&before, &now), same, "{now:?}");
        }
    }

    #[test]
    fn pods_are_indexed_by_their_sessions_and_forgotten_when_they_are_gone() {
        let index = PodIndex::default();
        let mut indexer = PodIndexer { index: index.clone(), listed: HashMap::new() };
        let names = || {
            let mut names: Vec<String> = index.read().values().map(|p| p.name.clone()).collect();
            names.sort();
            names
        };
        indexer.see(&Event::Init);
        indexer.see(&Event::InitApply(pod("a-1", "a")));
        // This list breaks off, and the next one lacks the pod.
        indexer.see(&Event::Init);
        indexer.see(&Event::InitApply(pod("b-1", "b")));
        indexer.see(&Event::InitDone);
        assert_eq!(names(), ["b-1"]);
        indexer.see(&Event::Apply(pod("c-1", "c")));
        indexer.see(&Event::Apply(pod("c-2", "c")));
        indexer.see(&Event::Delete(pod("c-1", "c")));
        assert_eq!(names(), ["b-1", "c-2"]);
        indexer.see(&Event::Delete(pod("c-2", "c")));
        assert_eq!(names(), ["b-1"]);
    }
}
