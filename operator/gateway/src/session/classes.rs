//! The BrowserClasses of the cluster, from one watch: what no class can ever satisfy is refused before an object is created.

use std::{collections::BTreeMap, sync::Arc};

use crds::{BrowserClass, BrowserSessionSpec};
use futures::StreamExt;
use kube::{
    Api, Client, ResourceExt,
    runtime::watcher::{Config, Event},
};
use parking_lot::RwLock;
use placement::{Namespace, Refusal, Request, place};
use support::objects;
use tokio_util::sync::CancellationToken;

pub struct Classes {
    client: Client,
    known: RwLock<Arc<Vec<BrowserClass>>>,
}

impl Classes {
    pub fn new(client: Client) -> Self {
        Self { client, known: RwLock::default() }
    }

    /// All classes, as this replica knows them.
    pub fn all(&self) -> Arc<Vec<BrowserClass>> {
        self.known.read().clone()
    }

    /// Checks whether a class can have a session with this spec. The watch may be behind, so a refusal is checked again with a list.
    ///
    /// # Errors
    /// The reason that the session's object would have.
    pub async fn check(&self, spec: &BrowserSessionSpec, namespace: &str) -> Result<(), Refusal> {
        let request = Request {
            spec,
            namespace: Namespace { name: namespace, labels: None },
            controller_name: None,
        };
        let Err(refusal) = place(&request, &self.all()) else { return Ok(()) };
        match objects::list(&Api::all(self.client.clone())).await {
            Ok(listed) => place(&request, &listed).map(drop),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "list BrowserClasses");
                Err(refusal)
            }
        }
    }

    /// Follows the watch until `stop`.
    pub async fn watch(self: Arc<Self>, client: Client, stop: CancellationToken) {
        let events = support::watch::events::<BrowserClass>(&client, Config::default(), stop);
        let mut events = std::pin::pin!(events);
        let (mut known, mut listing) = (BTreeMap::new(), false);
        while let Some(event) = events.next().await {
            match event {
                Event::Init => {
                    known.clear();
                    listing = true;
                }
                Event::InitApply(class) | Event::Apply(class) => {
                    known.insert(class.name_any(), class);
                }
                Event::Delete(class) => drop(known.remove(&class.name_any())),
                Event::InitDone => listing = false,
            }
            // Half a list is not used.
            if !listing {
                *self.known.write() = Arc::new(known.values().cloned().collect());
            }
        }
    }
}

/// Whether a class has room for another session. `sessions`: how many each class has.
pub fn has_room(class: &BrowserClass, sessions: &BTreeMap<String, i32>) -> bool {
    let count = sessions.get(&class.name_any()).copied().unwrap_or(0);
    class.spec.capacity.is_none_or(|capacity| count < capacity)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn there_is_room_while_one_class_has_some() {
        let class = |name: &str, capacity: Option<i32>| -> BrowserClass {
            serde_json::from_value(json!({
                "apiVersion": "browser-operator.io/v1alpha1", "kind": "BrowserClass",
                "metadata": {"name": name},
                "spec": {"browserName": "chrome", "capacity": capacity,
                    "versions": [{"version": "1", "image": "i"}]},
            }))
            .unwrap()
        };
        let live = BTreeMap::from([("a".to_owned(), 2), ("b".to_owned(), 0)]);
        for (classes, room) in [
            (vec![], false),
            (vec![class("a", Some(2))], false),
            (vec![class("a", Some(3))], true),
            (vec![class("a", None)], true),
            (vec![class("a", Some(2)), class("b", Some(1))], true),
            (vec![class("b", Some(0))], false),
        ] {
            assert_eq!(classes.iter().any(|class| has_room(class, &live)), room);
        }
    }
}
