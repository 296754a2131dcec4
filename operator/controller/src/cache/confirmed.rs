//! Classes and the labels of namespaces as the API server has them, for decisions that must not rest on a watch that is behind. Of
//! many sessions that wait for the same, one asks for all.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Weak},
};

use crds::BrowserClass;
use kube::Client;
use parking_lot::Mutex;
use support::latest::Latest;

use super::live;

/// The labels of a namespace, if there is one.
pub type Labels = Option<Arc<BTreeMap<String, String>>>;
type Answer<T> = Result<T, Arc<kube::Error>>;

pub struct Confirmed {
    client: Client,
    controller_name: String,
    classes: Latest<Answer<Arc<[BrowserClass]>>>,
    /// By namespace, while somebody waits.
    labels: Mutex<HashMap<String, Weak<Latest<Answer<Labels>>>>>,
}

impl Confirmed {
    pub fn new(client: Client, controller_name: String) -> Self {
        let (classes, labels) = (Latest::default(), Mutex::default());
        Self { client, controller_name, classes, labels }
    }

    /// Every class of this controller.
    pub async fn classes(&self) -> Answer<Arc<[BrowserClass]>> {
        let listing = live::classes(&self.client, &self.controller_name);
        self.classes.fresh(async { listing.await.map(Into::into).map_err(Arc::new) }).await
    }

    pub async fn labels(&self, namespace: &str) -> Answer<Labels> {
        let asked = {
            let mut labels = self.labels.lock();
            labels.retain(|_, asked| asked.strong_count() > 0);
            labels.get(namespace).and_then(Weak::upgrade).unwrap_or_else(|| {
                let asked = Arc::new(Latest::default());
                labels.insert(namespace.to_owned(), Arc::downgrade(&asked));
                asked
            })
        };
        let getting = live::namespace_labels(&self.client, namespace);
        asked
            .fresh(async { getting.await.map(|labels| labels.map(Arc::new)).map_err(Arc::new) })
            .await
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::atomic::{AtomicU32, Ordering},
    };

    use futures::future::join_all;
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn a_hundred_sessions_that_are_refused_at_once_ask_twice() {
        let asked = Arc::new(AtomicU32::new(0));
        let counter = asked.clone();
        let api_server = tower::service_fn(move |request: http::Request<kube::client::Body>| {
            counter.fetch_add(1, Ordering::Relaxed);
            let name = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
            async move {
                tokio::task::yield_now().await;
                let body = match name.as_str() {
                    "browserclasses" => json!({"metadata": {}, "items": []}),
                    _ => json!({
                        "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
                        "metadata": {"name": name, "labels": {"team": name}},
                    }),
                };
                let body = kube::client::Body::from(body.to_string().into_bytes());
                Ok::<_, Infallible>(http::Response::new(body))
            }
        });
        let confirmed = Confirmed::new(Client::new(api_server, "default"), "example.com/a".into());
        join_all((0..100).map(|_| confirmed.classes())).await;
        assert!(asked.swap(0, Ordering::Relaxed) <= 2);
        let labels = join_all((0..100).map(|_| confirmed.labels("blue"))).await;
        assert!(asked.load(Ordering::Relaxed) <= 2);
        assert!(
            labels
                .iter()
                .all(|labels| { labels.as_ref().unwrap().as_ref().unwrap()["team"] == "blue" })
        );
        confirmed.labels("green").await.unwrap();
        assert_eq!(confirmed.labels.lock().len(), 1);
    }
}
