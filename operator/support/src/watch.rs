//! Watches of one kind, for as long as the process runs.

use std::{fmt::Debug, time::Duration};

use futures::{Stream, StreamExt, future::ready};
use kube::{
    Api, Client, Resource,
    core::{DeserializeGuard, NamespaceResourceScope, PartialObjectMeta},
    runtime::{
        WatchStreamExt,
        utils::ResetTimerBackoff,
        watcher::{self, Config, Event, watcher},
    },
};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;

/// For a watch that breaks. Short, because the end of a session may be known from the watch alone, and there are no more
/// watches than replicas and kinds.
const RETRY: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
/// After how long without a failure the next one counts as a first: a watch begins to list well before that fails.
const CALM: Duration = Duration::from_secs(10);

/// The events of a kind in every namespace, until `stop`, without managed fields. A watch that breaks is logged and begun
/// again; an object that does not parse is logged and skipped: it must not end the watch of the others.
pub fn events<K>(
    client: &Client,
    config: Config,
    stop: CancellationToken,
) -> impl Stream<Item = Event<K>> + Send + use<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let api = Api::<DeserializeGuard<K>>::all(client.clone());
    until(stop, watcher(api, config)).filter_map(|event| ready(parsed(event)))
}

/// The events of a kind in one namespace.
pub fn events_in<K>(
    client: &Client,
    namespace: &str,
    config: Config,
    stop: CancellationToken,
) -> impl Stream<Item = Event<K>> + Send + use<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + 'static,
{
    until(stop, watcher(Api::<K>::namespaced(client.clone(), namespace), config))
}

/// The events of a kind's metadata in every namespace.
pub fn metadata<K>(
    client: &Client,
    config: Config,
    stop: CancellationToken,
) -> impl Stream<Item = Event<PartialObjectMeta<K>>> + Send + use<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    until(stop, watcher(Api::<PartialObjectMeta<K>>::all(client.clone()), config))
}

fn until<K>(
    stop: CancellationToken,
    events: impl Stream<Item = Result<Event<K>, watcher::Error>> + Send,
) -> impl Stream<Item = Event<K>> + Send
where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + 'static,
{
    events
        .backoff(ResetTimerBackoff::new(RETRY.pauses(), CALM))
        .modify(|object: &mut K| object.meta_mut().managed_fields = None)
        .filter_map(|event| {
            ready(match event {
                Ok(event) => Some(event),
                Err(error) => {
                    let kind = K::kind(&());
                    tracing::warn!(%kind, error = &error as &dyn std::error::Error, "watch broke");
                    None
                }
            })
        })
        .take_until(stop.cancelled_owned())
}

fn parsed<K: Resource<DynamicType = ()>>(event: Event<DeserializeGuard<K>>) -> Option<Event<K>> {
    let keep = |guarded: DeserializeGuard<K>| match guarded.0 {
        Ok(object) => Some(object),
        Err(error) => {
            let name = error.metadata.name.as_deref().unwrap_or_default();
            tracing::warn!(kind = %K::kind(&()), name, error = error.error, "passed over");
            None
        }
    };
    Some(match event {
        Event::Apply(object) => Event::Apply(keep(object)?),
        Event::InitApply(object) => Event::InitApply(keep(object)?),
        Event::Delete(object) => Event::Delete(keep(object)?),
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
    })
}
