//! The sessions by uid and by id, and who waits for one. Pure: watch events in, answers out.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use agent_api::installation_key::InstallationKey;
use crds::{BrowserSession, Reason};
use kube::{ResourceExt, runtime::watcher::Event};
use tokio::{sync::oneshot, time::Instant};

use support::objects::{Sent, Unreadable};

use super::{live::LiveSession, not_ready::NotReady, share_state::nonce};

/// How long an ended id is remembered, whatever the watch still says of it.
pub(super) const ENDED_ID_RETENTION: Duration = Duration::from_secs(600);
/// How many are remembered; of more the oldest are forgotten.
const MAX_ENDED_IDS: usize = 65_536;

/// What became of a session that somebody waits for.
pub type Outcome = Result<Arc<LiveSession>, NotReady>;

/// The session that a share is of.
pub enum SharedSession {
    Live(Arc<LiveSession>),
    /// It lives, and its share has another nonce: this one, which was deleted or has not reached this replica yet.
    UnknownShare(Arc<LiveSession>, String),
    Ended(NotReady),
}

#[derive(Debug)]
pub(super) enum State {
    /// Not Ready yet; what its condition says.
    Pending(Option<NotReady>),
    Ready(Arc<LiveSession>),
    /// Why, and the nonce of the share that it had.
    Ended(NotReady, Option<String>),
}

pub(super) struct OutcomeWaiter {
    pub send: oneshot::Sender<Outcome>,
    /// Whether it waits for capacity, too.
    pub queues: bool,
}

#[derive(Default)]
pub(super) struct Index {
    pub by_uid: HashMap<String, State>,
    pub by_id: HashMap<String, Arc<LiveSession>>,
    /// The classes of sessions that hold a place, by uid.
    class_by_uid: HashMap<String, String>,
    /// By uid.
    pub outcome_waiters: HashMap<String, Vec<OutcomeWaiter>>,
    /// Requests with an id that is not known yet, by that id.
    pub id_waiters: HashMap<String, Vec<oneshot::Sender<Arc<LiveSession>>>>,
    /// The ids of sessions that ended within [`ENDED_ID_RETENTION`].
    pub ended: HashMap<String, NotReady>,
    ended_in_order: VecDeque<(Instant, String)>,
    /// While the watch lists: the uids that it has listed.
    listed: Option<HashSet<String>>,
}

impl Index {
    pub fn handle(
        &mut self,
        event: Event<Sent<BrowserSession>>,
        key: &InstallationKey,
        now: Instant,
    ) {
        match event {
            Event::Init => self.listed = Some(HashSet::new()),
            Event::InitApply(session) => {
                if let (Some(listed), Some(uid)) = (&mut self.listed, session.uid()) {
                    listed.insert(uid);
                }
                self.apply_sent(&session, key, now);
            }
            Event::Apply(session) => self.apply_sent(&session, key, now),
            Event::Delete(session) => self.delete(&session.uid().unwrap_or_default(), now),
            Event::InitDone => self.delete_unlisted(now),
        }
        while self.ended_in_order.len() > MAX_ENDED_IDS
            || self.ended_in_order.front().is_some_and(|(at, _)| *at + ENDED_ID_RETENTION < now)
        {
            if let Some((_, id)) = self.ended_in_order.pop_front() {
                self.ended.remove(&id);
            }
        }
    }

    /// How many sessions each class has.
    pub fn sessions_per_class(&self) -> BTreeMap<String, i32> {
        let mut sessions = BTreeMap::new();
        for class in self.class_by_uid.values() {
            *sessions.entry(class.clone()).or_insert(0) += 1;
        }
        sessions
    }

    /// The session of a share; `None` where it is of none that is known.
    pub fn find_shared(&self, uid: &str, nonce: &str) -> Option<SharedSession> {
        match self.by_uid.get(uid)? {
            State::Ready(session) if session.share.has_nonce(nonce) => {
                Some(SharedSession::Live(session.clone()))
            }
            State::Ready(session) => {
                Some(SharedSession::UnknownShare(session.clone(), nonce.to_owned()))
            }
            State::Ended(end, had) => {
                (had.as_deref() == Some(nonce)).then(|| SharedSession::Ended(end.clone()))
            }
            State::Pending(_) => None,
        }
    }

    /// Ends the session with this id. The first end counts.
    pub fn end(&mut self, id: &str, end: NotReady, now: Instant) {
        if let Some(session) = self.by_id.remove(id) {
            let _ = session.end.set(end.clone());
            session.ended.cancel();
        }
        if !self.ended.contains_key(id) {
            self.ended.insert(id.to_owned(), end);
            self.ended_in_order.push_back((now, id.to_owned()));
        }
    }

    /// Removes the waiters for an id or a uid that wait no longer.
    pub fn remove_closed_waiters(&mut self, key: &str) {
        remove_closed(&mut self.id_waiters, key, oneshot::Sender::is_closed);
        remove_closed(&mut self.outcome_waiters, key, |waiter| waiter.send.is_closed());
    }

    fn apply_sent(&mut self, sent: &Sent<BrowserSession>, key: &InstallationKey, now: Instant) {
        match sent {
            Sent::Readable(session) => self.apply(session, key, now),
            Sent::Unreadable(unreadable) => self.apply_unreadable(unreadable, key, now),
        }
    }

    /// A session that cannot be read is over for every client, and says so by its name.
    fn apply_unreadable(&mut self, session: &Unreadable, key: &InstallationKey, now: Instant) {
        let metadata = &session.metadata;
        let Some(uid) = &metadata.uid else { return };
        let message = format!(
            "BrowserSession {} in namespace {} cannot be read: {}",
            metadata.name.as_deref().unwrap_or_default(),
            metadata.namespace.as_deref().unwrap_or_default(),
            session.problem,
        );
        let broken = NotReady::new(Reason::FieldInvalid, message);
        // Also the id of one that was never Ready here: its client need not wait for it.
        self.end(&key.session_id(uid).to_string(), broken.clone(), now);
        self.finish(uid, broken, None, now);
    }

    fn apply(&mut self, session: &BrowserSession, key: &InstallationKey, now: Instant) {
        let Some(uid) = session.uid() else { return };
        let condition = NotReady::from_condition(session);
        if session.is_terminal() {
            self.finish(&uid, condition.unwrap_or_else(NotReady::missing), nonce(session), now);
            return;
        }
        // A session that waits for admission has no class in its status, and holds no place.
        if let Some(class) = session.status.as_ref().and_then(|status| status.class_name.as_ref()) {
            self.class_by_uid.insert(uid.clone(), class.clone());
        }
        if let Some(State::Ready(live)) = self.by_uid.get(&uid) {
            live.share.update(session);
            return;
        }
        let Some(live) = LiveSession::of(session, &uid, key) else {
            if let Some(not_ready) = condition.as_ref().filter(|c| c.is_out_of_capacity()) {
                self.answer(&uid, |waiter| !waiter.queues, &Err(not_ready.clone()));
            }
            self.by_uid.insert(uid, State::Pending(condition));
            return;
        };
        let live = Arc::new(live);
        self.by_uid.insert(uid.clone(), State::Ready(live.clone()));
        if !self.ended.contains_key(&live.session_id) {
            self.by_id.insert(live.session_id.clone(), live.clone());
        }
        for waiter in self.id_waiters.remove(&live.session_id).into_iter().flatten() {
            // Whoever waits no longer has had its answer.
            let _ = waiter.send(live.clone());
        }
        self.answer(&uid, |_| true, &Ok(live));
    }

    /// Answers those who wait for this session and whom `concerned` names.
    fn answer(&mut self, uid: &str, concerned: impl Fn(&OutcomeWaiter) -> bool, outcome: &Outcome) {
        let Some(waiters) = self.outcome_waiters.remove(uid) else { return };
        let (answered, others): (Vec<_>, Vec<_>) = waiters.into_iter().partition(concerned);
        for waiter in answered {
            // Whoever waits no longer has had its answer.
            let _ = waiter.send.send(outcome.clone());
        }
        if !others.is_empty() {
            self.outcome_waiters.insert(uid.to_owned(), others);
        }
    }

    fn delete_unlisted(&mut self, now: Instant) {
        let Some(listed) = self.listed.take() else { return };
        let unlisted: Vec<String> =
            self.by_uid.keys().filter(|uid| !listed.contains(*uid)).cloned().collect();
        for uid in unlisted {
            self.delete(&uid, now);
        }
    }

    fn delete(&mut self, uid: &str, now: Instant) {
        let deleted = NotReady::new(Reason::Deleted, "the BrowserSession was deleted");
        self.finish(uid, deleted, None, now);
        self.by_uid.remove(uid);
    }

    fn finish(&mut self, uid: &str, end: NotReady, share: Option<String>, now: Instant) {
        self.class_by_uid.remove(uid);
        let before = self.by_uid.insert(uid.to_owned(), State::Ended(end.clone(), share));
        if let Some(State::Ready(session)) = before {
            self.end(&session.session_id, end.clone(), now);
        }
        self.answer(uid, |_| true, &Err(end));
    }
}

fn remove_closed<T>(
    waiters: &mut HashMap<String, Vec<T>>,
    key: &str,
    is_closed: impl Fn(&T) -> bool,
) {
    if let Some(all) = waiters.get_mut(key) {
        all.retain(|one| !is_closed(one));
        if all.is_empty() {
            waiters.remove(key);
        }
    }
}
