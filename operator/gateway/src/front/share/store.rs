//! Writes a session's share to the annotation of its object.

use crds::{BrowserSession, names::SHARE_ANNOTATION};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::session::{LiveSession, Share, UnwrittenViews};

/// How often a change is tried again after another writer was faster.
const RETRIES: usize = 3;

/// An object by name and uid: another of the same name is not meant.
struct ObjectRef<'a> {
    namespace: &'a str,
    name: &'a str,
    uid: &'a str,
}

impl<'a> From<&'a LiveSession> for ObjectRef<'a> {
    fn from(session: &'a LiveSession) -> Self {
        Self { namespace: &session.namespace, name: &session.name, uid: &session.uid }
    }
}

impl<'a> From<&'a BrowserSession> for ObjectRef<'a> {
    fn from(session: &'a BrowserSession) -> Self {
        let of = |part: &'a Option<String>| part.as_deref().unwrap_or_default();
        let metadata = &session.metadata;
        Self {
            namespace: of(&metadata.namespace),
            name: of(&metadata.name),
            uid: of(&metadata.uid),
        }
    }
}

impl ObjectRef<'_> {
    fn api(&self, client: &Client) -> Api<BrowserSession> {
        Api::namespaced(client.clone(), self.namespace)
    }

    /// Writes the annotation, or removes it. Answered with 409 if the object has another uid, or not this version any more.
    async fn write(
        &self,
        client: &Client,
        resource_version: Option<&str>,
        annotation: Option<String>,
    ) -> kube::Result<()> {
        let mut patch = json!({"metadata": {
            "uid": self.uid, "annotations": {SHARE_ANNOTATION: annotation},
        }});
        if let Some(version) = resource_version {
            patch["metadata"]["resourceVersion"] = Value::from(version);
        }
        let patch = Patch::Merge(patch);
        self.api(client).patch_metadata(self.name, &PatchParams::default(), &patch).await.map(drop)
    }

    /// Changes the share, and returns it as it is then. What does not change is not written.
    async fn update(
        &self,
        client: &Client,
        change: impl Fn(Option<Share>) -> Option<Share>,
    ) -> kube::Result<Option<Share>> {
        let mut retries = 0;
        loop {
            let session = self.api(client).get(self.name).await?;
            let old = Share::of(&session);
            let new = change(old.clone());
            if old == new {
                return Ok(new);
            }
            let annotation = new.as_ref().map(|share| json!(share).to_string());
            let version = session.metadata.resource_version.as_deref();
            match self.write(client, version, annotation).await {
                Ok(()) => return Ok(new),
                Err(kube::Error::Api(status)) if status.code == 409 && retries < RETRIES => {
                    retries += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// Whether the session has a share with this nonce, as the API server knows.
pub async fn exists(client: &Client, session: &LiveSession, nonce: &str) -> kube::Result<bool> {
    let object = ObjectRef::from(session).api(client).get_opt(&session.name).await?;
    let object = object.filter(|object| object.metadata.uid.as_ref() == Some(&session.uid));
    Ok(object.and_then(|object| Share::of(&object)).is_some_and(|share| share.nonce == nonce))
}

/// Shares a session. A share that exists stays as it is.
///
/// # Errors
/// The API server's; 404 or 409 where the session is gone.
pub async fn create(client: &Client, session: &BrowserSession) -> kube::Result<Share> {
    let new = Share::new();
    let change = |old: Option<Share>| Some(old.unwrap_or_else(|| new.clone()));
    let created = ObjectRef::from(session).update(client, change).await?;
    Ok(created.unwrap_or(new))
}

/// Ends the share, whatever is written meanwhile. Its URL never shows anything again: a later share has another nonce.
///
/// # Errors
/// The API server's; 404 or 409 where the session is gone.
pub async fn delete(client: &Client, session: &BrowserSession) -> kube::Result<()> {
    ObjectRef::from(session).write(client, None, None).await
}

/// Adds views to the share, if it is still there.
pub async fn add_views(
    client: &Client,
    session: &LiveSession,
    views: &UnwrittenViews,
) -> kube::Result<()> {
    let change = |share: Option<Share>| {
        share.map(|share| Share {
            views: share.views.saturating_add(views.count),
            last_viewed_at: views.last_viewed_at.or(share.last_viewed_at),
            ..share
        })
    };
    ObjectRef::from(session).update(client, change).await.map(drop)
}
