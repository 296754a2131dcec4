//! Waits for conditions, on watches.

use std::{collections::BTreeMap, fmt::Debug, pin::pin, time::Duration};

use anyhow::{Context, Result, bail};
use futures::StreamExt;
use kube::{
    Api, Resource, ResourceExt,
    runtime::watcher::{Config, Event, watch_object, watcher},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::{Instant, timeout_at};

/// Waits until `met` is true of the object of that name, or of its absence.
pub async fn until<K>(
    api: &Api<K>,
    name: &str,
    what: &str,
    limit: Duration,
    met: impl Fn(Option<&K>) -> bool,
) -> Result<Option<K>>
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + Serialize + 'static,
{
    let deadline = Instant::now() + limit;
    let mut seen = None;
    let mut stream = pin!(watch_object(api.clone(), name));
    loop {
        match timeout_at(deadline, stream.next()).await {
            Ok(Some(object)) => {
                seen = Some(object.with_context(|| format!("watch {name}"))?);
                if let Some(object) = &seen
                    && met(object.as_ref())
                {
                    return Ok(object.clone());
                }
            }
            Ok(None) => bail!("the watch of {name} ended"),
            Err(_) => bail!("{name}: not {what} within {limit:?}; last seen: {}", text(&seen)),
        }
    }
}

/// Waits until `met` is true of the listed objects.
pub async fn until_all<K>(
    api: &Api<K>,
    config: Config,
    what: &str,
    limit: Duration,
    met: impl Fn(&BTreeMap<String, K>) -> bool,
) -> Result<BTreeMap<String, K>>
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let deadline = Instant::now() + limit;
    let key =
        |object: &K| format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any());
    let mut stream = pin!(watcher(api.clone(), config));
    let (mut all, mut listed) = (BTreeMap::new(), false);
    loop {
        let event = match timeout_at(deadline, stream.next()).await {
            Ok(Some(event)) => event.with_context(|| format!("watch for {what}"))?,
            Ok(None) => bail!("the watch for {what} ended"),
            Err(_) => {
                let names: Vec<&String> = all.keys().collect();
                bail!("not {what} within {limit:?}; last seen: {names:?}");
            }
        };
        match event {
            Event::Init => all.clear(),
            Event::InitApply(object) | Event::Apply(object) => {
                all.insert(key(&object), object);
            }
            Event::Delete(object) => {
                all.remove(&key(&object));
            }
            Event::InitDone => listed = true,
        }
        if listed && met(&all) {
            return Ok(all);
        }
    }
}

/// Polls until `ask` succeeds: for what cannot be watched, such as DNS or metrics.
pub async fn eventually<T>(limit: Duration, ask: impl AsyncFn() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + limit;
    let mut pace = tokio::time::interval(Duration::from_millis(100));
    loop {
        pace.tick().await;
        match ask().await {
            Ok(answer) => return Ok(answer),
            Err(error) if Instant::now() >= deadline => {
                return Err(error.context(format!("still so after {limit:?}")));
            }
            Err(_) => {}
        }
    }
}

fn text<K: Serialize>(object: &Option<Option<K>>) -> String {
    match object {
        None => "nothing".to_owned(),
        Some(None) => "absent".to_owned(),
        Some(Some(object)) => serde_json::to_string(object).unwrap_or_default(),
    }
}
