//! What a session is about and what it names, fetched before anything is validated or built.

use std::sync::Arc;

use crds::{BrowserClass, BrowserSession, names};
use k8s_openapi::api::core::v1::Pod;

use super::credentials;
use crate::{
    build::object_name,
    cache::{Confirmed, Expectations, Labels, Stores, Tombstone, Tombstones},
    session_key::SessionKey,
};

/// The objects of one session.
pub struct Dereferenced {
    /// `None` once it is gone.
    pub session: Option<Arc<BrowserSession>>,
    pub pod: Option<Arc<Pod>>,
    /// Why its pod ended, where that went unseen.
    pub tombstone: Option<Tombstone>,
    pub services: Services,
    /// Whether the credentials are kept that its call brought.
    pub has_brought: bool,
    pub references: References,
}

/// Which Services of a session exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Services {
    /// Those that name its pod: the namespace's, and its own if it asked for one.
    pub are_complete: bool,
    /// Its own.
    pub own: bool,
}

/// What a session's spec names. Each kind of object that a spec can name (Secrets, contexts, pools) has its field here.
#[derive(Clone)]
pub struct References {
    /// Every class of this controller: a spec may leave the choice to us.
    pub classes: Arc<[BrowserClass]>,
    /// The labels of the session's namespace, which a class may select by. No watch has them, so they are asked for only where
    /// without them no class is found.
    pub labels: Labels,
    /// The credentials of proxies. `None` until somebody has read them, which is once a step needs them.
    pub credentials: Option<credentials::Found>,
}

impl References {
    /// As the API server has them, for a decision that must not rest on a watch that is behind.
    ///
    /// # Errors
    /// The API server does not answer.
    pub async fn confirmed(
        confirmed: &Confirmed,
        namespace: &str,
    ) -> Result<Self, Arc<kube::Error>> {
        let classes = confirmed.classes().await?;
        let selects = classes.iter().any(|class| class.spec.allowed_namespaces.is_some());
        let labels = if selects { confirmed.labels(namespace).await? } else { None };
        Ok(Self { classes, labels, credentials: None })
    }
}

/// Looks everything up in the stores.
pub fn dereference(
    stores: &Stores,
    expectations: &Expectations,
    tombstones: &Tombstones,
    key: &SessionKey,
) -> Dereferenced {
    // The session first: what comes of its pod meanwhile is heard by the next reconcile.
    let session = stores.session(key);
    let pod = stores.pod_of(key);
    let tombstone = if pod.is_none() { tombstones.get(&key.uid) } else { None };
    let services = services(stores, expectations, key, session.as_deref());
    let has_brought = stores.brought_uid(key).is_some();
    let references = References { classes: stores.classes(), labels: None, credentials: None };
    Dereferenced { session, pod, tombstone, services, has_brought, references }
}

fn services(
    stores: &Stores,
    expectations: &Expectations,
    key: &SessionKey,
    session: Option<&BrowserSession>,
) -> Services {
    let has = |name: &str| expectations.has_service(stores, &key.namespace, name);
    let wants_own = session.is_some_and(|session| session.spec.expose.is_some());
    let own_name = || object_name(key);
    Services {
        are_complete: session.is_none()
            || has(names::BROWSERS_SERVICE) && (!wants_own || has(&own_name())),
        own: wants_own && stores.has_service(&key.namespace, &own_name()),
    }
}
