//! Watches of one kind, for as long as the process runs.

mod merge;

use std::{fmt::Debug, time::Duration};

use futures::{Stream, StreamExt, future::ready, stream};
use kube::{
    Api, Client, Resource,
    core::{NamespaceResourceScope, PartialObjectMeta, PartialObjectMetaExt},
    runtime::{
        WatchStreamExt,
        utils::ResetTimerBackoff,
        watcher::{self, Config, Event, watcher},
    },
};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::{
    backoff::Backoff,
    objects::{PAGE, Sent},
};
use merge::Merge;

/// For a watch that breaks. Short, because the end of a session may be known from the watch alone, and there are no more
/// watches than replicas and kinds.
const RETRY: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
/// After how long without a failure the next one counts as a first: a watch begins to list well before that fails.
const CALM: Duration = Duration::from_secs(10);
/// After so many seconds the API server ends a watch, and it goes on where it was.
const SECONDS: u32 = 120;
/// How long the connection of a watch may be silent: longer than a watch, for not every API server sends bookmarks.
pub const SILENCE: Duration = Duration::from_secs(SECONDS as u64 + 30);

/// Which namespaces are watched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    #[default]
    All,
    /// Each by a watch of its own, for which a Role in it is enough.
    Namespaces(Vec<String>),
}

impl Scope {
    /// These namespaces; all where none is named.
    #[must_use]
    pub fn of(mut namespaces: Vec<String>) -> Self {
        namespaces.retain(|namespace| !namespace.is_empty());
        if namespaces.is_empty() { Self::All } else { Self::Namespaces(namespaces) }
    }

    /// The APIs of a kind, one for each list or watch that the scope takes.
    pub fn apis<K>(&self, client: &Client) -> Vec<Api<K>>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        match self {
            Self::All => vec![Api::all(client.clone())],
            Self::Namespaces(namespaces) => namespaces
                .iter()
                .map(|namespace| Api::namespaced(client.clone(), namespace))
                .collect(),
        }
    }

    /// Whether a namespace is watched.
    #[must_use]
    pub fn has(&self, namespace: &str) -> bool {
        match self {
            Self::All => true,
            Self::Namespaces(namespaces) => namespaces.iter().any(|one| one == namespace),
        }
    }
}

/// The events of a kind in every namespace, until `stop`, without managed fields. An object that cannot be read comes as
/// what is known of it.
pub fn objects<K>(
    client: &Client,
    config: Config,
    stop: CancellationToken,
) -> impl Stream<Item = Event<Sent<K>>> + Send + use<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    begin(Api::all(client.clone()), config, stop)
}

/// The same in some namespaces: one list, then changes, as if it were one watch.
pub fn objects_in<K>(
    client: &Client,
    scope: &Scope,
    config: Config,
    stop: &CancellationToken,
) -> impl Stream<Item = Event<Sent<K>>> + Send + use<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + 'static,
{
    let apis = scope.apis(client);
    let mut merge = Merge::new(apis.len());
    let watches = apis.into_iter().enumerate().map(|(place, api)| {
        begin::<K>(api, config.clone(), stop.clone()).map(move |event| (place, event)).boxed()
    });
    stream::select_all(watches)
        .flat_map(move |(place, event)| stream::iter(merge.handle(place, event)))
}

/// The events of a kind in every namespace. An object that cannot be read is logged and passed over.
pub fn events<K>(
    client: &Client,
    config: Config,
    stop: CancellationToken,
) -> impl Stream<Item = Event<K>> + Send + use<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    objects(client, config, stop).filter_map(|event| ready(readable(event)))
}

/// The same in one namespace.
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
    let events = begin(Api::namespaced(client.clone(), namespace), config, stop);
    events.filter_map(|event| ready(readable(event)))
}

/// The events of a kind's metadata in some namespaces.
pub fn metadata<K>(
    client: &Client,
    scope: &Scope,
    config: Config,
    stop: &CancellationToken,
) -> impl Stream<Item = Event<PartialObjectMeta<K>>> + Send + use<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + 'static,
{
    let known = |sent: Sent<PartialObjectMeta<K>>| match sent {
        Sent::Readable(object) => object,
        Sent::Unreadable(unreadable) => unreadable.metadata.into_response_partial(),
    };
    objects_in::<PartialObjectMeta<K>>(client, scope, config, stop).map(move |event| match event {
        Event::Init => Event::Init,
        Event::InitApply(sent) => Event::InitApply(known(sent)),
        Event::InitDone => Event::InitDone,
        Event::Apply(sent) => Event::Apply(known(sent)),
        Event::Delete(sent) => Event::Delete(known(sent)),
    })
}

fn begin<K>(
    api: Api<Sent<K>>,
    config: Config,
    stop: CancellationToken,
) -> impl Stream<Item = Event<Sent<K>>> + Send + use<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    watcher(api, config.timeout(SECONDS).page_size(PAGE))
        .backoff(ResetTimerBackoff::new(RETRY.pauses(), CALM))
        .modify(|object: &mut Sent<K>| object.meta_mut().managed_fields = None)
        .filter_map(|event| {
            ready(match event {
                Ok(event) => Some(event),
                Err(error) => {
                    log::<K>(&error);
                    None
                }
            })
        })
        .take_until(stop.cancelled_owned())
}

fn log<K: Resource<DynamicType = ()>>(error: &watcher::Error) {
    let (kind, cause) = (K::kind(&()), error as &dyn std::error::Error);
    match error {
        // The next request tells whether something is wrong.
        watcher::Error::WatchError(_) | watcher::Error::WatchFailed(_) => {
            tracing::debug!(%kind, error = cause, "watch begins again");
        }
        _ => tracing::warn!(%kind, error = cause, "watch broke"),
    }
}

/// The event of an object that can be read. The words of the parser are not logged: they may repeat a Secret's value.
pub fn readable<K: Resource<DynamicType = ()>>(event: Event<Sent<K>>) -> Option<Event<K>> {
    let keep = |sent: Sent<K>| match sent {
        Sent::Readable(object) => Some(object),
        Sent::Unreadable(unreadable) => {
            let name = unreadable.metadata.name.as_deref().unwrap_or_default();
            tracing::warn!(kind = %K::kind(&()), name, "it cannot be read and is passed over");
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
