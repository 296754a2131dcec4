//! Shares of sessions: a URL for everybody, which shows a session and does not let anybody drive it. What there is to remember
//! stands in an annotation of the object, so that every replica knows it.

use crds::{BrowserSession, names::SHARE_ANNOTATION};
use jiff::Timestamp;
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams},
};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// How often a change is tried that another replica was faster with.
const TRIES: usize = 3;

/// A session's share.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Share {
    /// What tells it from those that the session had before.
    pub nonce: String,
    /// How often it was looked at.
    pub views: u64,
    /// When it was last.
    pub last_viewed_at: Option<Timestamp>,
}

impl Share {
    /// Nobody has looked at it.
    fn new() -> Self {
        Self { nonce: uuid::Uuid::new_v4().simple().to_string(), views: 0, last_viewed_at: None }
    }

    /// That of a session, if it is shared.
    pub fn of(session: &BrowserSession) -> Option<Self> {
        serde_json::from_str(session.annotations().get(SHARE_ANNOTATION)?).ok()
    }
}

/// Changes a session's share, and gives it as it is then. Nothing is written where nothing changes.
///
/// # Errors
/// The API server's.
async fn change(
    client: &Client,
    namespace: &str,
    name: &str,
    change: impl Fn(Option<Share>) -> Option<Share>,
) -> kube::Result<Option<Share>> {
    let api = Api::<BrowserSession>::namespaced(client.clone(), namespace);
    let mut tries = 0;
    loop {
        let session = api.get(name).await?;
        let (old, new) = (Share::of(&session), change(Share::of(&session)));
        if old == new {
            return Ok(new);
        }
        let text = new.as_ref().map(|share| json!(share).to_string());
        let patch = json!({"metadata": {
            "resourceVersion": session.metadata.resource_version,
            "annotations": {SHARE_ANNOTATION: text},
        }});
        let patch = Patch::Merge(patch);
        match api.patch_metadata(name, &PatchParams::default(), &patch).await {
            Ok(_) => return Ok(new),
            Err(kube::Error::Api(status)) if status.code == 409 && tries < TRIES => tries += 1,
            Err(error) => return Err(error),
        }
    }
}

/// Whether a session has that share, as the API server knows.
///
/// # Errors
/// The API server's.
pub async fn is(client: &Client, namespace: &str, name: &str, nonce: &str) -> kube::Result<bool> {
    let api = Api::<BrowserSession>::namespaced(client.clone(), namespace);
    let session = api.get_opt(name).await?;
    Ok(session.and_then(|session| Share::of(&session)).is_some_and(|share| share.nonce == nonce))
}

/// Shares a session; one that is shared stays as it is.
///
/// # Errors
/// The API server's.
pub async fn create(client: &Client, namespace: &str, name: &str) -> kube::Result<Share> {
    let fresh = Share::new();
    let made = change(client, namespace, name, |old| Some(old.unwrap_or_else(|| fresh.clone())));
    Ok(made.await?.unwrap_or(fresh))
}

/// Shares it no more. Its URL shows nothing from then on, also when it is shared again.
///
/// # Errors
/// The API server's.
pub async fn delete(client: &Client, namespace: &str, name: &str) -> kube::Result<()> {
    change(client, namespace, name, |_| None).await.map(drop)
}

/// Counts a look at it.
///
/// # Errors
/// The API server's.
pub async fn viewed(
    client: &Client,
    namespace: &str,
    name: &str,
    now: Timestamp,
) -> kube::Result<()> {
    let counted = |share: Option<Share>| {
        share.map(|share| Share { views: share.views + 1, last_viewed_at: Some(now), ..share })
    };
    change(client, namespace, name, counted).await.map(drop)
}
