//! Sessions as the API server has them: those that live, and the records of those that have ended.

use std::time::Duration;

use crds::{
    BrowserSession, Phase, Reason,
    names::{CALLER_ANNOTATION, END_ANNOTATION, FRONT_ANNOTATION},
    session::DEFAULT_TIMEOUT_SECONDS,
};
use jiff::{SignedDuration, Timestamp};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, Preconditions},
};
use serde_json::{Value, json};
use support::objects::Sent;

use super::problem::Problem;
use crate::{auth::Caller, state::Gateway, traffic::Turn};

/// How many objects are read at a time, which may have more than a megabyte each,
const PAGE: u32 = 32;
/// and of how many the metadata alone.
const METADATA_PAGE: u32 = 100;
/// How long a release waits for the end to stand in the status.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(10);

/// A session's object, and its id.
#[derive(Clone, Debug)]
pub struct Record {
    /// WebDriver's session id.
    pub id: String,
    pub object: BrowserSession,
}

impl Record {
    pub fn phase(&self) -> Phase {
        self.object.status.as_ref().and_then(|status| status.phase).unwrap_or(Phase::Pending)
    }

    pub fn created(&self) -> Timestamp {
        self.object.metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |at| at.0)
    }

    /// When it became Ready; until then, when it was created.
    pub fn started(&self) -> Timestamp {
        let started = self.object.status.as_ref().and_then(|status| status.started_at.as_ref());
        started.map_or_else(|| self.created(), |at| at.0)
    }

    pub fn ended(&self) -> Option<Timestamp> {
        Some(self.object.status.as_ref()?.ended_at.as_ref()?.0)
    }

    /// When its timeout ends it.
    pub fn expires(&self) -> Timestamp {
        let expires_at = self.object.status.as_ref().and_then(|status| status.expires_at.as_ref());
        let timeout = self.object.spec.timeout_seconds.unwrap_or(DEFAULT_TIMEOUT_SECONDS);
        let timeout = SignedDuration::from_secs(timeout.into());
        expires_at.map_or_else(|| self.created() + timeout, |at| at.0)
    }

    /// When a condition last changed.
    pub fn updated(&self) -> Timestamp {
        let conditions = self.object.status.iter().flat_map(|status| &status.conditions);
        conditions.map(|c| c.last_transition_time.0).fold(self.started(), Timestamp::max)
    }

    /// What its front kept in the annotation when it created the session; null where there is none.
    pub fn front_state(&self) -> Value {
        let annotation = self.object.annotations().get(FRONT_ANNOTATION);
        annotation.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }
}

fn sessions(gateway: &Gateway, namespace: &str) -> Api<BrowserSession> {
    Api::namespaced(gateway.sessions.client.clone(), namespace)
}

/// The same for reading: one object that cannot be read hides no other.
fn sent(gateway: &Gateway, namespace: &str) -> Api<Sent<BrowserSession>> {
    Api::namespaced(gateway.sessions.client.clone(), namespace)
}

/// The problem with a write that names the session's uid.
pub fn write_failed(error: &kube::Error) -> Problem {
    match error {
        // 409: another object has the name by now.
        kube::Error::Api(status) if [404, 409].contains(&status.code) => not_found(),
        _ => failed(error),
    }
}

fn failed(error: &kube::Error) -> Problem {
    Problem::Failed(format!("the API server did not answer: {error}"))
}

fn not_found() -> Problem {
    Problem::NotFound("Session not found".to_owned())
}

fn record(gateway: &Gateway, object: BrowserSession) -> Record {
    let id = gateway.directory.session_id(&object.uid().unwrap_or_default());
    Record { id, object }
}

/// An anonymous caller sees only sessions that were created anonymously.
fn may_see(caller: &Caller, object: &BrowserSession) -> bool {
    !caller.is_anonymous() || object.annotations().get(CALLER_ANNOTATION) == Some(&caller.name)
}

/// Shows `see` every session that the caller may see, one by one: a namespace may have more of them than fit into memory.
pub async fn for_each(
    gateway: &Gateway,
    caller: &Caller,
    mut see: impl FnMut(Record),
) -> Result<(), Problem> {
    let api = sent(gateway, &caller.namespace);
    let mut page = ListParams::default().limit(PAGE);
    loop {
        let listed = api.list(&page).await.map_err(|error| failed(&error))?;
        for sent in listed.items {
            if let Sent::Readable(object) = sent
                && may_see(caller, &object)
            {
                see(record(gateway, object));
            }
        }
        match listed.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page.continue_token = Some(token),
            None => return Ok(()),
        }
    }
}

/// The session of that id, if the caller may see it.
pub async fn find(gateway: &Gateway, caller: &Caller, id: &str) -> Result<Record, Problem> {
    if uuid::Uuid::try_parse(id).is_err() {
        return Err(not_found());
    }
    // The directory waits for a session that another replica has just created.
    let name = match gateway.directory.find(id).await {
        Ok(session) if session.namespace != caller.namespace => return Err(not_found()),
        Ok(session) => session.name.clone(),
        Err(_) => find_name(gateway, caller, id).await?,
    };
    // Both may be stale: the session may be deleted, and another may have its name by now.
    let record = get(gateway, &caller.namespace, &name).await?;
    let is_found = record.id == id && may_see(caller, &record.object);
    if is_found { Ok(record) } else { Err(not_found()) }
}

/// The name of the object of a session that has no browser (any more).
async fn find_name(gateway: &Gateway, caller: &Caller, id: &str) -> Result<String, Problem> {
    let _turn = turn(gateway, caller).await?;
    let api = sessions(gateway, &caller.namespace);
    let mut page = ListParams::default().limit(METADATA_PAGE);
    loop {
        let listed = api.list_metadata(&page).await.map_err(|error| failed(&error))?;
        let mut found = listed.items.iter().filter(|object| {
            gateway.directory.session_id(object.metadata.uid.as_deref().unwrap_or_default()) == id
        });
        if let Some(object) = found.next() {
            return Ok(object.name_any());
        }
        match listed.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page.continue_token = Some(token),
            None => return Err(not_found()),
        }
    }
}

/// Waits until this caller's namespace may be listed.
pub async fn turn(gateway: &Gateway, caller: &Caller) -> Result<Turn, Problem> {
    let turn = gateway.large_answers.turn(&caller.namespace).await;
    turn.map_err(|busy| Problem::Unavailable(busy.to_string()))
}

pub async fn get(gateway: &Gateway, namespace: &str, name: &str) -> Result<Record, Problem> {
    match sent(gateway, namespace).get_opt(name).await {
        Ok(Some(Sent::Readable(object))) => Ok(record(gateway, object)),
        Ok(Some(Sent::Unreadable(unreadable))) => Err(Problem::Failed(format!(
            "BrowserSession {name} cannot be read: {}",
            unreadable.problem
        ))),
        Ok(None) => Err(not_found()),
        Err(error) => Err(failed(&error)),
    }
}

/// Ends a session, and returns its record once that says so. One that has ended is returned as it is.
pub async fn release(gateway: &Gateway, found: Record) -> Result<Record, Problem> {
    if found.phase().is_terminal() {
        return Ok(found);
    }
    let (name, namespace) = (found.object.name_any(), found.object.namespace().unwrap_or_default());
    let uid = found.object.uid().unwrap_or_default();
    // With the uid, a session that has taken the name since is not touched.
    let end = json!({"metadata": {
        "uid": uid, "annotations": {END_ANNOTATION: Reason::Released.as_str()},
    }});
    sessions(gateway, &namespace)
        .patch_metadata(&name, &PatchParams::default(), &Patch::Merge(end))
        .await
        .map_err(|error| write_failed(&error))?;
    // While no controller runs, the session ends later; the client need not wait for that.
    let _ = tokio::time::timeout(RELEASE_TIMEOUT, gateway.directory.wait_for_end(&uid)).await;
    get(gateway, &namespace, &name).await
}

/// Ends a session and removes its record.
pub async fn delete(gateway: &Gateway, found: Record) -> Result<(), Problem> {
    let (name, namespace) = (found.object.name_any(), found.object.namespace().unwrap_or_default());
    // With the uid, a session that has taken the name since is not touched.
    let only = Preconditions { uid: found.object.uid(), ..Preconditions::default() };
    match release(gateway, found).await {
        // Somebody else has deleted it.
        Err(Problem::NotFound(_)) => return Ok(()),
        released => drop(released?),
    }
    let params = DeleteParams::default().preconditions(only);
    match sessions(gateway, &namespace).delete(&name, &params).await {
        Ok(_) => Ok(()),
        // 409: another object has the name by now.
        Err(kube::Error::Api(status)) if [404, 409].contains(&status.code) => Ok(()),
        Err(error) => Err(failed(&error)),
    }
}
