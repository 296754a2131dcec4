//! The BrowserClasses of the cluster, from one watch: what no class can ever satisfy is refused before an object is created.

use std::{collections::BTreeMap, convert::Infallible, sync::Arc, time::Duration};

use crds::{BrowserClass, BrowserSessionSpec};
use futures::StreamExt;
use k8s_openapi::api::core::v1::Namespace as KubeNamespace;
use kube::{
    Api, Client, ResourceExt,
    runtime::watcher::{Config, Event},
};
use parking_lot::RwLock;
use placement::{Namespace, Refusal, Request, place};
use support::{latest::Latest, objects};
use tokio_util::sync::CancellationToken;

use crate::auth::Decisions;

/// How long the labels of a namespace are believed, and of how many they are kept.
const LABELS_LIFETIME: Duration = Duration::from_secs(10);
const MAX_NAMESPACES: usize = 4096;

type Labels = Option<Arc<BTreeMap<String, String>>>;

pub struct Classes {
    client: Client,
    controller_name: String,
    /// Those of this controller.
    known: RwLock<Arc<Vec<BrowserClass>>>,
    labels: Decisions<String, Labels>,
    /// `None` inside where the API server did not answer.
    listed: Latest<Option<Arc<Vec<BrowserClass>>>>,
}

impl Classes {
    /// The classes of the controller of this name.
    pub fn new(client: Client, controller_name: String) -> Self {
        Self {
            client,
            controller_name,
            known: RwLock::default(),
            labels: Decisions::new(MAX_NAMESPACES),
            listed: Latest::default(),
        }
    }

    /// Every class of this controller, as this replica knows them.
    pub fn all(&self) -> Arc<Vec<BrowserClass>> {
        self.known.read().clone()
    }

    /// The name of the class that a session with this spec gets. The watch may be behind, so a refusal is checked again with a list.
    ///
    /// # Errors
    /// The reason that the session's object would have.
    pub async fn find(
        &self,
        spec: &BrowserSessionSpec,
        namespace: &str,
    ) -> Result<String, Refusal> {
        let refusal = match self.find_in(&self.all(), spec, namespace).await {
            Ok(name) => return Ok(name),
            Err(refusal) => refusal,
        };
        // One list for all who are refused at the same time: a tenant may be refused as often as it likes.
        match self.listed.fresh(self.list()).await {
            Some(listed) => self.find_in(&listed, spec, namespace).await,
            None => Err(refusal),
        }
    }

    async fn list(&self) -> Option<Arc<Vec<BrowserClass>>> {
        let listed = objects::list(&Api::all(self.client.clone())).await;
        let listed = listed.inspect_err(|error| {
            tracing::warn!(error = error as &dyn std::error::Error, "list BrowserClasses");
        });
        listed.ok().map(Arc::new)
    }

    async fn find_in(
        &self,
        classes: &[BrowserClass],
        spec: &BrowserSessionSpec,
        namespace: &str,
    ) -> Result<String, Refusal> {
        let selects = classes.iter().any(|class| class.spec.allowed_namespaces.is_some());
        let labels = if selects { self.labels(namespace).await } else { None };
        let request = Request {
            spec,
            namespace: Namespace { name: namespace, labels: labels.as_deref() },
            controller_name: Some(&self.controller_name),
        };
        place(&request, classes).map(|placement| placement.class.name_any())
    }

    /// The labels of a namespace; `None` where the API server does not tell.
    async fn labels(&self, namespace: &str) -> Labels {
        let ask = async {
            let namespaces = Api::<KubeNamespace>::all(self.client.clone());
            let labels = match namespaces.get_metadata_opt(namespace).await {
                Ok(found) => found.map(|found| Arc::new(found.metadata.labels.unwrap_or_default())),
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, namespace, "the labels of a namespace");
                    None
                }
            };
            let lifetime = if labels.is_some() { LABELS_LIFETIME } else { Duration::ZERO };
            Ok::<_, Infallible>((labels, lifetime))
        };
        let Ok(labels) = self.labels.get(&namespace.to_owned(), ask).await;
        labels
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
                let is_ours =
                    |class: &&BrowserClass| class.spec.controller_name == self.controller_name;
                *self.known.write() = Arc::new(known.values().filter(is_ours).cloned().collect());
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

    #[tokio::test]
    async fn a_namespace_is_known_by_its_labels_and_a_class_by_its_controller() {
        let api_server = tower::service_fn(async |request: http::Request<kube::client::Body>| {
            let name = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
            let body = match name.as_str() {
                "browserclasses" => json!({"metadata": {}, "items": []}),
                _ => json!({
                    "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
                    "metadata": {"name": name, "labels": {"team": name}},
                }),
            };
            Ok::<_, Infallible>(http::Response::new(kube::client::Body::from(
                body.to_string().into_bytes(),
            )))
        });
        let classes = Classes::new(Client::new(api_server, "default"), "example.com/a".to_owned());
        let class = |name: &str, controller: &str| -> BrowserClass {
            serde_json::from_value(json!({
                "apiVersion": "browser-operator.io/v1alpha1", "kind": "BrowserClass",
                "metadata": {"name": name},
                "spec": {"browserName": "chrome", "versions": [{"version": "1", "image": "i"}],
                    "controllerName": controller,
                    "allowedNamespaces": {"matchLabels": {"team": "blue"}}},
            }))
            .unwrap()
        };
        *classes.known.write() =
            Arc::new(vec![class("a", "example.com/a"), class("b", "example.com/b")]);
        let spec: BrowserSessionSpec = serde_json::from_value(json!({})).unwrap();
        assert_eq!(classes.find(&spec, "blue").await.unwrap(), "a");
        assert!(classes.find_in(&classes.all(), &spec, "green").await.is_err());
    }
}
