//! Everything that the API server says of the sessions of a namespace, their pods and Events, and of the operator's pods:
//! from one watch each. Whoever waits for something waits here.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    pin::pin,
    time::Duration,
};

use anyhow::{Context, Result};
use crds::{BrowserSession, names::SESSION_UID_LABEL};
use futures::StreamExt;
use k8s_openapi::api::core::v1::{Event as Told, Pod};
use kube::{
    Api, Resource, ResourceExt,
    runtime::{
        WatchStreamExt,
        watcher::{Config, Event, watcher},
    },
};
use serde::de::DeserializeOwned;
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

use super::{history::SessionHistory, outage::Outage};
use crate::Namespace;

/// A browser's pod: what [`super::leftovers`] looks for when it is gone.
#[derive(Clone, Debug, Default)]
pub struct BrowserPod {
    pub name: String,
    /// The uid of its session.
    pub session: String,
    pub ip: Option<String>,
    pub containers: BTreeSet<String>,
}

#[derive(Default)]
pub struct Seen {
    /// By uid.
    pub sessions: BTreeMap<String, SessionHistory>,
    /// Browser pods that exist, by uid.
    pub pods: BTreeMap<String, BrowserPod>,
    pub gone: BTreeMap<String, BrowserPod>,
    /// The reasons of each session's Events, by its uid.
    pub event_reasons: BTreeMap<String, BTreeSet<String>>,
    /// The operator's pods that exist, by uid.
    pub operator: BTreeMap<String, Pod>,
    /// Outages of the operator that the soak has caused.
    pub outages: Vec<Outage>,
}

impl Seen {
    /// The session of a cycle.
    #[must_use]
    pub fn of_cycle(&self, number: u64) -> Option<(&String, &SessionHistory)> {
        self.sessions.iter().find(|(_, history)| history.number == Some(number))
    }

    #[must_use]
    pub fn is_over(&self, session: &str) -> bool {
        self.sessions.get(session).is_none_or(SessionHistory::is_over)
    }

    /// A session's present pod, with its uid.
    #[must_use]
    pub fn pod_of(&self, session: &str) -> Option<(&String, &BrowserPod)> {
        self.pods.iter().find(|(_, pod)| pod.session == session)
    }

    /// The operator's pods of a component, without those being deleted.
    pub fn component<'a>(&'a self, component: &'a str) -> impl Iterator<Item = &'a Pod> {
        self.operator.values().filter(move |pod| {
            let label = pod.labels().get("app.kubernetes.io/component");
            label.is_some_and(|label| label == component)
                && pod.metadata.deletion_timestamp.is_none()
        })
    }
}

pub struct Observer(watch::Sender<Seen>);

impl Default for Observer {
    fn default() -> Self {
        Self(watch::Sender::new(Seen::default()))
    }
}

impl Observer {
    pub async fn watch(&self, namespace: &Namespace) {
        let client = namespace.cluster.client.clone();
        let events = Api::<Told>::namespaced(client.clone(), &namespace.name);
        let operator = Api::<Pod>::all(client);
        let ours = Config::default().labels("app.kubernetes.io/name=browser-operator");
        let of_sessions = Config::default().labels(SESSION_UID_LABEL);
        tokio::join!(
            follow(namespace.sessions(), Config::default(), |change| self.sessions(change)),
            follow(namespace.pods(), of_sessions, |change| self.pods(change)),
            follow(events, Config::default(), |change| self.events(change)),
            follow(operator, ours, |change| self.operator(change)),
        );
    }

    pub fn read<T>(&self, read: impl FnOnce(&Seen) -> T) -> T {
        read(&self.0.borrow())
    }

    pub fn update<T>(&self, update: impl FnOnce(&mut Seen) -> T) -> T {
        let mut noted = None;
        self.0.send_modify(|seen| noted = Some(update(seen)));
        noted.expect("it is called once, before this returns")
    }

    /// Waits until `find` returns something.
    pub async fn wait_for<T>(
        &self,
        what: &str,
        limit: Duration,
        find: impl Fn(&Seen) -> Option<T>,
    ) -> Result<T> {
        let mut seen = self.0.subscribe();
        let mut found = None;
        let met = seen.wait_for(|seen| {
            found = find(seen);
            found.is_some()
        });
        let waited = timeout(limit, met).await.map(drop);
        waited.with_context(|| format!("not {what} within {limit:?}"))?;
        found.with_context(|| format!("{what}: nobody watches"))
    }

    fn sessions(&self, change: Change<BrowserSession>) {
        let now = Instant::now();
        self.update(|seen| match change {
            Change::Listed(all) => {
                let listed: BTreeSet<String> = all.iter().filter_map(ResourceExt::uid).collect();
                let sessions = seen.sessions.iter_mut().filter(|(uid, _)| !listed.contains(*uid));
                sessions.for_each(|(_, history)| history.go(now));
                all.into_iter().for_each(|session| seen.see(session, now));
            }
            Change::Applied(session) => seen.see(session, now),
            Change::Deleted(session) => {
                let uid = session.uid().unwrap_or_default();
                seen.see(session, now);
                seen.sessions.entry(uid).and_modify(|history| history.go(now));
            }
        });
    }

    fn pods(&self, change: Change<Pod>) {
        self.update(|seen| match change {
            Change::Listed(all) => {
                let before = std::mem::take(&mut seen.pods);
                seen.gone.extend(before);
                all.iter().for_each(|pod| seen.see_pod(pod, true));
            }
            Change::Applied(pod) => seen.see_pod(&pod, true),
            Change::Deleted(pod) => seen.see_pod(&pod, false),
        });
    }

    fn events(&self, change: Change<Told>) {
        let all = match change {
            Change::Listed(all) => all,
            Change::Applied(event) => vec![event],
            Change::Deleted(_) => return,
        };
        self.update(|seen| {
            for event in all {
                let Some(uid) = event.involved_object.uid else { continue };
                seen.event_reasons.entry(uid).or_default().extend(event.reason);
            }
        });
    }

    fn operator(&self, change: Change<Pod>) {
        let keyed = |pod: Pod| (pod.uid().unwrap_or_default(), pod);
        self.update(|seen| match change {
            Change::Listed(all) => seen.operator = all.into_iter().map(keyed).collect(),
            Change::Applied(pod) => seen.operator.extend([keyed(pod)]),
            Change::Deleted(pod) => _ = seen.operator.remove(&keyed(pod).0),
        });
    }
}

impl Seen {
    fn see(&mut self, session: BrowserSession, now: Instant) {
        let Some(uid) = session.uid() else { return };
        match self.sessions.get_mut(&uid) {
            Some(history) => history.update(session, now),
            None => _ = self.sessions.insert(uid, SessionHistory::new(session, now)),
        }
    }

    fn see_pod(&mut self, pod: &Pod, is_there: bool) {
        let Some(uid) = pod.uid() else { return };
        let known = self.pods.remove(&uid).or_else(|| self.gone.remove(&uid));
        let mut known = known.unwrap_or_default();
        known.name = pod.name_any();
        known.session = pod.labels().get(SESSION_UID_LABEL).cloned().unwrap_or_default();
        if let Some(status) = &pod.status {
            known.ip = status.pod_ip.clone().or(known.ip);
            let containers = status.container_statuses.iter().flatten();
            let ids = containers.filter_map(|container| container.container_id.as_deref());
            // containerd://<id>
            known.containers.extend(ids.filter_map(|id| Some(id.split_once("://")?.1.to_owned())));
        }
        let pods = if is_there { &mut self.pods } else { &mut self.gone };
        pods.insert(uid, known);
    }
}

enum Change<K> {
    Listed(Vec<K>),
    Applied(K),
    Deleted(K),
}

/// Calls `tell` for every change of a kind.
async fn follow<K>(api: Api<K>, config: Config, tell: impl Fn(Change<K>))
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let mut listed = Vec::new();
    let mut events = pin!(watcher(api, config).default_backoff());
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => listed.clear(),
            Ok(Event::InitApply(object)) => listed.push(object),
            Ok(Event::InitDone) => tell(Change::Listed(std::mem::take(&mut listed))),
            Ok(Event::Apply(object)) => tell(Change::Applied(object)),
            Ok(Event::Delete(object)) => tell(Change::Deleted(object)),
            // It goes on, with a new list if it must.
            Err(error) => eprintln!("a watch: {error}"),
        }
    }
}
