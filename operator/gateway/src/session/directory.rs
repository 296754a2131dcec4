//! Who is where: every session of the cluster, from one watch. Clients wait on it, never on the API server.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use agent_api::{PodRef, installation_key::InstallationKey};
use crds::{BrowserSession, Reason, capabilities::CapabilitySet, names::Protocol};
use futures::StreamExt;
use kube::{
    Client, ResourceExt,
    runtime::watcher::{Config, Event},
};
use net::agent::Agent;
use parking_lot::Mutex;
use tokio::{sync::oneshot, time::Instant};
use tokio_util::sync::CancellationToken;
use webdriver::error::WebDriverError;

use crate::{
    front::share::Screen,
    session::share::{Share, Views},
};

/// How long an id that this replica does not know may still come.
const PATIENCE: Duration = Duration::from_millis(500);
/// How many requests may wait so at a time; more are told at once that there is no such session.
const MAX_PATIENT: usize = 4096;
/// How long an ended id is remembered, whatever the watch still says.
const REMEMBER: Duration = Duration::from_secs(600);

/// A session that can be driven.
#[derive(Debug)]
pub struct LiveSession {
    /// WebDriver's id.
    pub session_id: String,
    /// The uid of its object.
    pub uid: String,
    /// The object's namespace.
    pub namespace: String,
    /// The object's name.
    pub name: String,
    /// As the browser matched them.
    pub capabilities: CapabilitySet,
    /// Whether it speaks BiDi.
    pub bidi: bool,
    /// Whether it was made on a bare socket: then it is reachable over that alone.
    pub bidi_only: bool,
    /// The way to its pod.
    pub agent: Agent,
    /// The nonce of its share, where it is shared.
    pub share: Mutex<Option<String>>,
    /// Looks at that, which are not written yet.
    pub views: Mutex<Views>,
    /// What those see.
    pub screen: Screen,
    /// Cancelled when it is over.
    pub over: CancellationToken,
    /// Why it is over.
    pub why: OnceLock<NotReady>,
}

/// Why a session will not be Ready (again).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotReady {
    /// In one word.
    pub reason: String,
    /// For a person.
    pub message: String,
}

impl NotReady {
    /// Whether it is only that there is no room now.
    pub fn is_out_of_capacity(&self) -> bool {
        let full = [Reason::CapacityReached, Reason::QuotaExceeded];
        full.iter().any(|reason| reason.as_str() == self.reason)
    }
}

/// A session that is shared.
pub enum SharedSession {
    /// It lives.
    Lives(Arc<LiveSession>),
    /// It lives, and this share of it was taken back, or is so new that this replica has not heard of it: its nonce.
    Unknown(Arc<LiveSession>, String),
    /// It has ended.
    Ended(NotReady),
}

#[derive(Debug)]
enum State {
    Waiting(Option<NotReady>),
    Ready(Arc<LiveSession>),
    /// Why, and the nonce of the share that it had.
    Ended(NotReady, Option<String>),
}

type Outcome = Result<Arc<LiveSession>, NotReady>;

struct Creator {
    send: oneshot::Sender<Outcome>,
    /// Whether it waits for its turn too.
    queues: bool,
}

#[derive(Default)]
struct Inner {
    by_uid: HashMap<String, State>,
    by_id: HashMap<String, Arc<LiveSession>>,
    /// The classes of those that live, by uid.
    class_of: HashMap<String, String>,
    /// Who waits for what becomes of a session, by its uid.
    creators: HashMap<String, Vec<Creator>>,
    /// Requests with an id that is not known yet.
    patient: HashMap<String, Vec<oneshot::Sender<Arc<LiveSession>>>>,
    /// Why those ended that are remembered.
    ended: HashMap<String, NotReady>,
    ended_in_order: VecDeque<(Instant, String)>,
    /// While the watch lists: what it has listed.
    listed: Option<HashSet<String>>,
}

/// The directory.
pub struct Directory {
    key: InstallationKey,
    inner: Mutex<Inner>,
}

impl Directory {
    /// An empty one.
    pub fn new(key: InstallationKey) -> Self {
        Self { key, inner: Mutex::default() }
    }

    /// The session with this id; waits a moment for one that is not known yet.
    ///
    /// # Errors
    /// `invalid session id`, with the reason of one that has ended.
    pub async fn find(&self, id: &str) -> Result<Arc<LiveSession>, WebDriverError> {
        let (waiting, _leaves) = {
            let mut inner = self.inner.lock();
            if let Some(over) = inner.ended.get(id) {
                return Err(WebDriverError::session_over(&over.reason, &over.message));
            }
            if let Some(entry) = inner.by_id.get(id) {
                return Ok(entry.clone());
            }
            // What is no UUID never becomes one.
            if uuid::Uuid::try_parse(id).is_err() || inner.patient.len() >= MAX_PATIENT {
                return Err(WebDriverError::invalid_session_id());
            }
            let (send, waiting) = oneshot::channel();
            inner.patient.entry(id.to_owned()).or_default().push(send);
            (waiting, Leaves { directory: self, key: id })
        };
        let found = tokio::time::timeout(PATIENCE, waiting).await.ok().and_then(Result::ok);
        found.ok_or_else(WebDriverError::invalid_session_id)
    }

    /// WebDriver's id of the session whose object has this uid.
    pub fn id_of(&self, uid: &str) -> String {
        self.key.session_id(uid).to_string()
    }

    /// What makes a URL a credential for a session.
    pub fn link(&self, uid: &str, until: i64) -> String {
        self.key.link(&self.key.session_id(uid), until)
    }

    /// The id of the session that a link is for.
    pub fn open_link(&self, link: &str, now: i64) -> Option<String> {
        self.key.open_link(link, now).map(|id| id.to_string())
    }

    /// What makes a URL show a session.
    pub fn share(&self, uid: &str, share: &Share) -> String {
        self.key.share(uid, &share.nonce)
    }

    /// The session that a share is of; `None` where it is of none that is known.
    pub fn shared(&self, share: &str) -> Option<SharedSession> {
        let (uid, nonce) = self.key.open_share(share)?;
        match self.inner.lock().by_uid.get(uid)? {
            State::Ready(entry) if entry.share.lock().as_deref() == Some(nonce) => {
                Some(SharedSession::Lives(entry.clone()))
            }
            State::Ready(entry) => Some(SharedSession::Unknown(entry.clone(), nonce.to_owned())),
            State::Ended(over, had) => {
                (had.as_deref() == Some(nonce)).then(|| SharedSession::Ended(over.clone()))
            }
            State::Waiting(_) => None,
        }
    }

    /// Waits until the session with this uid, which is known to have been made, is over.
    pub async fn ended(&self, uid: &str) {
        if let Ok(entry) = self.outcome(uid, true).await {
            entry.over.cancelled().await;
        }
    }

    /// Why there is no session with this id any more.
    pub fn why(&self, id: &str) -> WebDriverError {
        match self.inner.lock().ended.get(id) {
            Some(over) => WebDriverError::session_over(&over.reason, &over.message),
            None => WebDriverError::invalid_session_id(),
        }
    }

    /// Waits until the session with this uid is Ready or over; without `queues` also until it must wait for its turn.
    pub async fn outcome(&self, uid: &str, queues: bool) -> Outcome {
        let (waiting, _leaves) = {
            let mut inner = self.inner.lock();
            match inner.by_uid.get(uid) {
                Some(State::Ready(entry)) => return Ok(entry.clone()),
                Some(State::Ended(over, _)) => return Err(over.clone()),
                Some(State::Waiting(Some(why))) if !queues && why.is_out_of_capacity() => {
                    return Err(why.clone());
                }
                Some(State::Waiting(_)) | None => {}
            }
            let (send, waiting) = oneshot::channel();
            inner.creators.entry(uid.to_owned()).or_default().push(Creator { send, queues });
            (waiting, Leaves { directory: self, key: uid })
        };
        waiting.await.unwrap_or_else(|_| {
            Err(NotReady { reason: "Unknown".to_owned(), message: "this replica stops".to_owned() })
        })
    }

    /// How many sessions each class has.
    pub fn live(&self) -> BTreeMap<String, i32> {
        let mut live = BTreeMap::new();
        for class in self.inner.lock().class_of.values() {
            *live.entry(class.clone()).or_insert(0) += 1;
        }
        live
    }

    /// What holds up the session with this uid, as its condition says.
    pub fn held_up_by(&self, uid: &str) -> Option<NotReady> {
        match self.inner.lock().by_uid.get(uid) {
            Some(State::Waiting(why)) => why.clone(),
            _ => None,
        }
    }

    /// The session was ended by its client through this replica: its id is gone at once, not when the watch says so.
    pub fn forget(&self, id: &str) {
        let over = NotReady {
            reason: Reason::ClientEnded.as_str().to_owned(),
            message: "its client ended it".to_owned(),
        };
        self.inner.lock().end(id, over, Instant::now());
    }

    fn see(&self, event: Event<BrowserSession>, now: Instant) {
        let mut inner = self.inner.lock();
        match event {
            Event::Init => inner.listed = Some(HashSet::new()),
            Event::InitApply(session) => {
                if let (Some(listed), Some(uid)) = (&mut inner.listed, &session.metadata.uid) {
                    listed.insert(uid.clone());
                }
                inner.apply(&session, &self.key, now);
            }
            Event::Apply(session) => inner.apply(&session, &self.key, now),
            Event::Delete(session) => inner.delete(&session.uid().unwrap_or_default(), now),
            Event::InitDone => {
                if let Some(listed) = inner.listed.take() {
                    let gone: Vec<String> =
                        inner.by_uid.keys().filter(|uid| !listed.contains(*uid)).cloned().collect();
                    for uid in gone {
                        inner.delete(&uid, now);
                    }
                }
            }
        }
        while inner.ended_in_order.front().is_some_and(|(at, _)| *at + REMEMBER < now) {
            if let Some((_, id)) = inner.ended_in_order.pop_front() {
                inner.ended.remove(&id);
            }
        }
    }
}

/// Takes the place of whoever waits along when it stops, also by being dropped.
struct Leaves<'a> {
    directory: &'a Directory,
    /// The id or the uid that it waits for.
    key: &'a str,
}

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        let mut inner = self.directory.inner.lock();
        leave(&mut inner.patient, self.key, oneshot::Sender::is_closed);
        leave(&mut inner.creators, self.key, |creator| creator.send.is_closed());
    }
}

fn leave<T>(waiting: &mut HashMap<String, Vec<T>>, key: &str, has_left: impl Fn(&T) -> bool) {
    if let Some(all) = waiting.get_mut(key) {
        all.retain(|one| !has_left(one));
        if all.is_empty() {
            waiting.remove(key);
        }
    }
}

impl Inner {
    fn apply(&mut self, session: &BrowserSession, key: &InstallationKey, now: Instant) {
        let Some(uid) = session.uid() else { return };
        let condition = session.ready_condition().map(|condition| NotReady {
            reason: condition.reason.clone(),
            message: condition.message.clone(),
        });
        if session.is_terminal() {
            let unknown = || NotReady { reason: "Unknown".to_owned(), message: String::new() };
            self.over(&uid, condition.unwrap_or_else(unknown), nonce(session), now);
            return;
        }
        // One that waits has no class in its status, and no place.
        if let Some(class) = session.status.as_ref().and_then(|status| status.class_name.as_ref()) {
            self.class_of.insert(uid.clone(), class.clone());
        }
        if let Some(State::Ready(entry)) = self.by_uid.get(&uid) {
            *entry.share.lock() = nonce(session);
            return;
        }
        let Some(entry) = ready(session, &uid, key) else {
            if let Some(why) = condition.as_ref().filter(|why| why.is_out_of_capacity()) {
                self.answer(&uid, |creator| !creator.queues, &Err(why.clone()));
            }
            self.by_uid.insert(uid, State::Waiting(condition));
            return;
        };
        let entry = Arc::new(entry);
        self.by_uid.insert(uid.clone(), State::Ready(entry.clone()));
        if !self.ended.contains_key(&entry.session_id) {
            self.by_id.insert(entry.session_id.clone(), entry.clone());
        }
        for patient in self.patient.remove(&entry.session_id).into_iter().flatten() {
            // Whoever has stopped waiting has had its answer.
            let _ = patient.send(entry.clone());
        }
        self.answer(&uid, |_| true, &Ok(entry));
    }

    /// Tells those who wait for this session and whom it concerns. Whoever has stopped waiting has had its answer.
    fn answer(&mut self, uid: &str, concerned: impl Fn(&Creator) -> bool, outcome: &Outcome) {
        let Some(waiting) = self.creators.remove(uid) else { return };
        let (told, others): (Vec<_>, Vec<_>) = waiting.into_iter().partition(concerned);
        for creator in told {
            let _ = creator.send.send(outcome.clone());
        }
        if !others.is_empty() {
            self.creators.insert(uid.to_owned(), others);
        }
    }

    fn delete(&mut self, uid: &str, now: Instant) {
        let deleted = NotReady {
            reason: "Deleted".to_owned(),
            message: "the BrowserSession was deleted".to_owned(),
        };
        self.over(uid, deleted, None, now);
        self.by_uid.remove(uid);
    }

    fn over(&mut self, uid: &str, over: NotReady, share: Option<String>, now: Instant) {
        self.class_of.remove(uid);
        let before = self.by_uid.insert(uid.to_owned(), State::Ended(over.clone(), share));
        if let Some(State::Ready(entry)) = before {
            self.end(&entry.session_id, over.clone(), now);
        }
        self.answer(uid, |_| true, &Err(over));
    }

    /// The first reason counts.
    fn end(&mut self, id: &str, over: NotReady, now: Instant) {
        if let Some(entry) = self.by_id.remove(id) {
            let _ = entry.why.set(over.clone());
            entry.over.cancel();
        }
        if !self.ended.contains_key(id) {
            self.ended.insert(id.to_owned(), over);
            self.ended_in_order.push_back((now, id.to_owned()));
        }
    }
}

fn nonce(session: &BrowserSession) -> Option<String> {
    Share::of(session).map(|share| share.nonce)
}

/// The entry of a session that is Ready.
fn ready(session: &BrowserSession, uid: &str, key: &InstallationKey) -> Option<LiveSession> {
    let status = session.status.as_ref().filter(|_| session.is_ready())?;
    let ip: IpAddr = status.pod_ip.as_deref()?.parse().ok()?;
    let token = key.pod_token(&PodRef::new(session.namespace()?, status.pod_name.as_deref()?));
    Some(LiveSession {
        session_id: status.session_id.clone()?,
        uid: uid.to_owned(),
        namespace: session.namespace()?,
        name: session.name_any(),
        capabilities: status.capabilities.clone().unwrap_or_default(),
        bidi: status.web_socket_url.is_some(),
        bidi_only: session.protocol() == Protocol::Bidi,
        agent: Agent::new(ip, token),
        share: Mutex::new(nonce(session)),
        views: Mutex::default(),
        screen: Screen::default(),
        over: CancellationToken::new(),
        why: OnceLock::new(),
    })
}

/// Feeds the directory until `stop`. `seen`: cancelled when every session has been seen.
pub async fn watch(
    directory: Arc<Directory>,
    client: Client,
    seen: CancellationToken,
    stop: CancellationToken,
) {
    let events = support::watch::events::<BrowserSession>(&client, Config::default(), stop);
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        let listed = matches!(event, Event::InitDone);
        directory.see(event, Instant::now());
        if listed {
            seen.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const ID: &str = "6d1f2f4e-0000-8000-8000-000000000001";

    fn directory() -> Directory {
        Directory::new(InstallationKey::new(&[0; 32]).unwrap())
    }

    fn session(status: Value) -> BrowserSession {
        serde_json::from_value(json!({
            "apiVersion": "browser-operator.io/v1alpha1", "kind": "BrowserSession",
            "metadata": {"name": "s", "namespace": "n", "uid": "u"}, "spec": {}, "status": status,
        }))
        .unwrap()
    }

    fn condition(status: &str, reason: &str) -> Value {
        json!({"type": "Ready", "status": status, "reason": reason, "message": "m",
            "lastTransitionTime": "2026-01-01T00:00:00Z"})
    }

    fn is_ready() -> BrowserSession {
        session(json!({
            "phase": "Ready", "sessionId": ID, "podName": "s-1", "podIP": "10.0.0.1",
            "conditions": [condition("True", "BrowserReady")],
        }))
    }

    fn is_over() -> BrowserSession {
        session(json!({"phase": "TimedOut", "conditions": [condition("False", "IdleTimeout")]}))
    }

    #[tokio::test(start_paused = true)]
    async fn a_creator_hears_when_its_session_is_ready() {
        let directory = directory();
        let waiting = directory.outcome("u", true);
        let mut waiting = std::pin::pin!(waiting);
        assert!(futures::poll!(&mut waiting).is_pending());
        directory.see(Event::Apply(session(json!({}))), Instant::now());
        assert!(futures::poll!(&mut waiting).is_pending());
        directory.see(Event::Apply(is_ready()), Instant::now());
        assert_eq!(waiting.await.unwrap().session_id, ID);
        assert_eq!(directory.outcome("u", true).await.unwrap().session_id, ID);
    }

    #[tokio::test(start_paused = true)]
    async fn a_creator_hears_why_there_is_no_session() {
        let directory = directory();
        let waiting = directory.outcome("u", true);
        let mut waiting = std::pin::pin!(waiting);
        assert!(futures::poll!(&mut waiting).is_pending());
        directory.see(Event::Apply(is_over()), Instant::now());
        assert_eq!(waiting.await.unwrap_err().reason, "IdleTimeout");
        directory.see(Event::Delete(is_over()), Instant::now());
        let why = session(json!({"conditions": [condition("False", "Unschedulable")]}));
        directory.see(Event::Apply(why), Instant::now());
        assert_eq!(directory.held_up_by("u").unwrap().reason, "Unschedulable");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_for_an_end_hears_of_it_however_far_the_session_was() {
        let directory = directory();
        directory.see(Event::Apply(session(json!({}))), Instant::now());
        {
            let gone = std::pin::pin!(directory.ended("u"));
            assert!(futures::poll!(gone).is_pending());
        }
        assert!(directory.inner.lock().creators.is_empty());
        let mut waiting = std::pin::pin!(directory.ended("u"));
        assert!(futures::poll!(&mut waiting).is_pending());
        directory.see(Event::Apply(is_ready()), Instant::now());
        assert!(futures::poll!(&mut waiting).is_pending());
        directory.see(Event::Apply(is_over()), Instant::now());
        waiting.await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_id_that_is_not_known_yet_is_waited_for_a_moment() {
        let directory = Arc::new(directory());
        let begun = Instant::now();
        assert!(directory.find(ID).await.is_err());
        assert_eq!(begun.elapsed(), PATIENCE);
        assert!(directory.find("not-a-uuid").await.is_err());
        assert_eq!(begun.elapsed(), PATIENCE);
        assert!(directory.inner.lock().patient.is_empty());

        let asking = tokio::spawn({
            let directory = directory.clone();
            async move { directory.find(ID).await.is_ok() }
        });
        tokio::time::sleep(Duration::from_millis(100)).await;
        directory.see(Event::Apply(is_ready()), Instant::now());
        assert!(asking.await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn an_ended_id_is_gone_at_once_and_remembered() {
        let directory = directory();
        directory.see(Event::Apply(is_ready()), Instant::now());
        assert!(directory.find(ID).await.is_ok());
        directory.forget(ID);
        let begun = Instant::now();
        assert!(directory.find(ID).await.is_err());
        directory.see(Event::Apply(is_ready()), Instant::now());
        assert!(directory.find(ID).await.is_err());
        assert_eq!(begun.elapsed(), Duration::ZERO);
        directory.see(Event::Delete(is_over()), Instant::now() + REMEMBER * 2);
        assert!(directory.inner.lock().ended.is_empty());
    }

    #[test]
    fn a_class_has_those_that_live() {
        let directory = directory();
        let mut waiting = session(json!({"phase": "Pending"}));
        waiting.spec.class_name = Some("c".to_owned());
        directory.see(Event::Apply(waiting), Instant::now());
        assert_eq!(directory.live(), BTreeMap::new());
        let starting = session(json!({"phase": "Starting", "className": "c"}));
        directory.see(Event::Apply(starting), Instant::now());
        assert_eq!(directory.live(), BTreeMap::from([("c".to_owned(), 1)]));
        directory.see(Event::Apply(is_over()), Instant::now());
        assert_eq!(directory.live(), BTreeMap::new());
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_new_list_lacks_is_gone() {
        let directory = directory();
        directory.see(Event::Apply(is_ready()), Instant::now());
        directory.see(Event::Init, Instant::now());
        directory.see(Event::InitDone, Instant::now());
        assert!(directory.find(ID).await.is_err());
        assert!(directory.inner.lock().by_uid.is_empty());
    }
}
