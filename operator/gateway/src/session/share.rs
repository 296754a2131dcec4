//! Shares of sessions: a URL for everybody, which shows a session and does not let anybody drive it. What there is to remember
//! stands in an annotation of the object, so that every replica knows it.

use crds::{BrowserSession, names::SHARE_ANNOTATION};
use jiff::Timestamp;
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::session::LiveSession;

/// How often a change is tried that another writer was faster with.
const TRIES: usize = 3;
/// The hexadecimal digits of a nonce.
const NONCE_DIGITS: usize = 32;

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

    /// That of a session, if it is shared. Whoever may patch sessions may have written anything.
    pub fn of(session: &BrowserSession) -> Option<Self> {
        let share: Self =
            serde_json::from_str(session.annotations().get(SHARE_ANNOTATION)?).ok()?;
        let is_nonce = share.nonce.len() == NONCE_DIGITS
            && share.nonce.bytes().all(|digit| digit.is_ascii_hexdigit());
        is_nonce.then_some(share)
    }
}

/// Looks at a share that are not written yet.
#[derive(Debug, Default)]
pub struct Views {
    count: u64,
    last: Option<Timestamp>,
    /// Whether somebody is about to write them.
    pub is_being_written: bool,
}

impl Views {
    /// One more.
    pub fn add(&mut self, now: Timestamp) {
        self.count += 1;
        self.last = Some(now);
    }
}

/// The object of a session, which no other of its name is.
struct Object<'a> {
    namespace: &'a str,
    name: &'a str,
    uid: &'a str,
}

impl<'a> From<&'a LiveSession> for Object<'a> {
    fn from(entry: &'a LiveSession) -> Self {
        Self { namespace: &entry.namespace, name: &entry.name, uid: &entry.uid }
    }
}

impl<'a> From<&'a BrowserSession> for Object<'a> {
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

impl Object<'_> {
    fn api(&self, client: &Client) -> Api<BrowserSession> {
        Api::namespaced(client.clone(), self.namespace)
    }

    /// Writes the annotation of this object and no other: 409 if it is not this one, or not at this version any more.
    async fn write(
        &self,
        client: &Client,
        version: Option<&str>,
        text: Option<String>,
    ) -> kube::Result<()> {
        let mut patch = json!({"metadata": {
            "uid": self.uid, "annotations": {SHARE_ANNOTATION: text},
        }});
        if let Some(version) = version {
            patch["metadata"]["resourceVersion"] = Value::from(version);
        }
        let patch = Patch::Merge(patch);
        self.api(client).patch_metadata(self.name, &PatchParams::default(), &patch).await.map(drop)
    }

    /// Changes the share, and gives it as it is then. Nothing is written where nothing changes.
    async fn change(
        &self,
        client: &Client,
        change: impl Fn(Option<Share>) -> Option<Share>,
    ) -> kube::Result<Option<Share>> {
        let mut tries = 0;
        loop {
            let session = self.api(client).get(self.name).await?;
            let old = Share::of(&session);
            let new = change(old.clone());
            if old == new {
                return Ok(new);
            }
            let text = new.as_ref().map(|share| json!(share).to_string());
            let version = session.metadata.resource_version.as_deref();
            match self.write(client, version, text).await {
                Ok(()) => return Ok(new),
                Err(kube::Error::Api(status)) if status.code == 409 && tries < TRIES => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }
}

/// Whether a session has that share, as the API server knows.
///
/// # Errors
/// The API server's.
pub async fn is(client: &Client, entry: &LiveSession, nonce: &str) -> kube::Result<bool> {
    let session = Object::from(entry).api(client).get_opt(&entry.name).await?;
    let session = session.filter(|session| session.metadata.uid.as_ref() == Some(&entry.uid));
    Ok(session.and_then(|session| Share::of(&session)).is_some_and(|share| share.nonce == nonce))
}

/// Shares a session; one that is shared stays as it is.
///
/// # Errors
/// The API server's; 404 or 409 where the session is gone.
pub async fn create(client: &Client, session: &BrowserSession) -> kube::Result<Share> {
    let fresh = Share::new();
    let shared = |old: Option<Share>| Some(old.unwrap_or_else(|| fresh.clone()));
    let made = Object::from(session).change(client, shared).await?;
    Ok(made.unwrap_or(fresh))
}

/// Shares it no more, whatever is written meanwhile. Its URL shows nothing from then on, also when it is shared again.
///
/// # Errors
/// The API server's; 404 or 409 where the session is gone.
pub async fn delete(client: &Client, session: &BrowserSession) -> kube::Result<()> {
    Object::from(session).write(client, None, None).await
}

/// Writes looks at it.
///
/// # Errors
/// The API server's.
pub async fn viewed(client: &Client, entry: &LiveSession, views: &Views) -> kube::Result<()> {
    let counted = |share: Option<Share>| {
        share.map(|share| Share {
            views: share.views.saturating_add(views.count),
            last_viewed_at: views.last.or(share.last_viewed_at),
            ..share
        })
    };
    Object::from(entry).change(client, counted).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_annotation_is_believed_only_as_far_as_it_can_be_a_share() {
        let of = |text: &str| {
            let mut session = BrowserSession::default();
            session.annotations_mut().insert(SHARE_ANNOTATION.to_owned(), text.to_owned());
            Share::of(&session)
        };
        let share = Share::new();
        assert_eq!(of(&json!(share).to_string()), Some(share));
        for text in [
            "",
            "{}",
            r#"{"nonce": "a.b", "views": 0, "lastViewedAt": null}"#,
            r#"{"nonce": "\"><script>aaaaaaaaaaaaaaaaaaaaaa", "views": 0, "lastViewedAt": null}"#,
            r#"{"nonce": "0123456789abcdef0123456789abcdef", "views": -1, "lastViewedAt": null}"#,
        ] {
            assert_eq!(of(text), None, "{text}");
        }
        assert_eq!(Share::of(&BrowserSession::default()), None);
    }
}
