//! Every session of the cluster, from one watch. Clients wait on it, never on the API server.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use agent_api::installation_key::InstallationKey;
use crds::{BrowserSession, Reason};
use futures::StreamExt;
use kube::{
    Client,
    runtime::watcher::{Config, Event},
};
use parking_lot::Mutex;
use support::{objects::Sent, watch::Scope};
use tokio::{sync::oneshot, time::Instant};
use tokio_util::sync::CancellationToken;
use webdriver::error::WebDriverError;

use super::{
    index::{Index, Outcome, OutcomeWaiter, SharedSession, State},
    live::LiveSession,
    not_ready::NotReady,
    share::Share,
};

/// How long an id that this replica does not know may still come.
const UNKNOWN_ID_TIMEOUT: Duration = Duration::from_millis(500);
/// How many requests may wait so at a time; more are answered at once that there is no such session.
const MAX_UNKNOWN_IDS: usize = 4096;

pub struct Directory {
    key: InstallationKey,
    index: Mutex<Index>,
}

impl Directory {
    pub fn new(key: InstallationKey) -> Self {
        Self { key, index: Mutex::default() }
    }

    /// The session with this id; waits a moment for one that is not known yet.
    ///
    /// # Errors
    /// `invalid session id`, with the reason of a session that has ended.
    pub async fn find(&self, id: &str) -> Result<Arc<LiveSession>, WebDriverError> {
        let (waiting, _guard) = {
            let mut index = self.index.lock();
            if let Some(end) = index.ended.get(id) {
                return Err(WebDriverError::session_over(end.reason.as_str(), &end.message));
            }
            if let Some(session) = index.by_id.get(id) {
                return Ok(session.clone());
            }
            // Every session's id is a UUID.
            if uuid::Uuid::try_parse(id).is_err() || index.id_waiters.len() >= MAX_UNKNOWN_IDS {
                return Err(WebDriverError::invalid_session_id());
            }
            let (send, waiting) = oneshot::channel();
            index.id_waiters.entry(id.to_owned()).or_default().push(send);
            (waiting, WaiterGuard { directory: self, key: id })
        };
        let found = tokio::time::timeout(UNKNOWN_ID_TIMEOUT, waiting).await;
        found.ok().and_then(Result::ok).ok_or_else(WebDriverError::invalid_session_id)
    }

    /// WebDriver's id of the session whose object has this uid.
    pub fn session_id(&self, uid: &str) -> String {
        self.key.session_id(uid).to_string()
    }

    /// A key that makes a URL a credential for a session, until this Unix time in seconds.
    pub fn signing_key(&self, uid: &str, until: i64) -> String {
        self.key.link(&self.key.session_id(uid), until)
    }

    /// The id of the session that a signing key is for; `None` where it is not valid.
    pub fn verify_signing_key(&self, signing_key: &str, now: i64) -> Option<String> {
        self.key.open_link(signing_key, now).map(|id| id.to_string())
    }

    /// The token in the URL of a share.
    pub fn share_token(&self, uid: &str, share: &Share) -> String {
        self.key.share(uid, &share.nonce)
    }

    /// The session that a share's token is for; `None` where it is for none that is known.
    pub fn find_shared(&self, token: &str) -> Option<SharedSession> {
        let (uid, nonce) = self.key.open_share(token)?;
        self.index.lock().find_shared(uid, nonce)
    }

    /// Waits until the session with this uid, whose object has been created, has ended.
    pub async fn wait_for_end(&self, uid: &str) {
        if let Ok(session) = self.wait_until_ready(uid, true).await {
            session.ended.cancelled().await;
        }
    }

    /// The error for a session that has ended.
    pub fn end_error(&self, id: &str) -> WebDriverError {
        match self.index.lock().ended.get(id) {
            Some(end) => WebDriverError::session_over(end.reason.as_str(), &end.message),
            None => WebDriverError::invalid_session_id(),
        }
    }

    /// Waits until the session with this uid is Ready or has ended; without `queues` also until it must wait for capacity.
    pub async fn wait_until_ready(&self, uid: &str, queues: bool) -> Outcome {
        let (waiting, _guard) = {
            let mut index = self.index.lock();
            match index.by_uid.get(uid) {
                Some(State::Ready(session)) => return Ok(session.clone()),
                Some(State::Ended(end, _)) => return Err(end.clone()),
                Some(State::Pending(Some(pending))) if !queues && pending.is_out_of_capacity() => {
                    return Err(pending.clone());
                }
                Some(State::Pending(_)) | None => {}
            }
            let (send, waiting) = oneshot::channel();
            let waiter = OutcomeWaiter { send, queues };
            index.outcome_waiters.entry(uid.to_owned()).or_default().push(waiter);
            (waiting, WaiterGuard { directory: self, key: uid })
        };
        waiting.await.unwrap_or_else(|_| Err(NotReady::replica_stopping()))
    }

    /// How many sessions each class has.
    pub fn sessions_per_class(&self) -> BTreeMap<String, i32> {
        self.index.lock().sessions_per_class()
    }

    /// Why the session with this uid is not Ready yet, as its condition says.
    pub fn pending_reason(&self, uid: &str) -> Option<NotReady> {
        match self.index.lock().by_uid.get(uid) {
            Some(State::Pending(reason)) => reason.clone(),
            _ => None,
        }
    }

    /// Its client ended the session through this replica: its id is gone at once, not when the watch says so.
    pub fn end_by_client(&self, id: &str) {
        let end = NotReady::new(Reason::ClientEnded, "its client ended it");
        self.index.lock().end(id, end, Instant::now());
    }

    /// Follows the watch until `stop`. `synced` is cancelled once every session has been listed.
    pub async fn watch(
        &self,
        client: Client,
        scope: &Scope,
        synced: CancellationToken,
        stop: CancellationToken,
    ) {
        let events =
            support::watch::objects_in::<BrowserSession>(&client, scope, Config::default(), &stop);
        let mut events = std::pin::pin!(events);
        while let Some(event) = events.next().await {
            let is_listed = matches!(event, Event::InitDone);
            self.handle(event, Instant::now());
            if is_listed {
                synced.cancel();
            }
        }
    }

    fn handle(&self, event: Event<Sent<BrowserSession>>, now: Instant) {
        self.index.lock().handle(event, &self.key, now);
    }

    #[cfg(test)]
    fn see(&self, event: Event<BrowserSession>, now: Instant) {
        self.handle(
            match event {
                Event::Init => Event::Init,
                Event::InitDone => Event::InitDone,
                Event::InitApply(session) => Event::InitApply(Sent::Readable(session)),
                Event::Apply(session) => Event::Apply(Sent::Readable(session)),
                Event::Delete(session) => Event::Delete(Sent::Readable(session)),
            },
            now,
        );
    }
}

/// Removes a waiter when it waits no longer, also when it is dropped.
struct WaiterGuard<'a> {
    directory: &'a Directory,
    /// The id or the uid that it waits for.
    key: &'a str,
}

impl Drop for WaiterGuard<'_> {
    fn drop(&mut self) {
        self.directory.index.lock().remove_closed_waiters(self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::index::ENDED_ID_RETENTION;
    use serde_json::{Value, json};

    /// That of uid `u` under the key of [`directory`].
    const ID: &str = "bab04043-4a8d-8477-95db-a3d1aacd6d5a";

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

    fn has_ended() -> BrowserSession {
        let mut finished = condition("True", "IdleTimeout");
        finished["type"] = json!("Finished");
        session(json!({"phase": "TimedOut", "conditions": [finished]}))
    }

    #[tokio::test(start_paused = true)]
    async fn a_creator_hears_when_its_session_is_ready() {
        let directory = directory();
        let waiting = directory.wait_until_ready("u", true);
        let mut waiting = std::pin::pin!(waiting);
        assert!(futures::poll!(&mut waiting).is_pending());
        directory.see(Event::Apply(session(json!({}))), Instant::now());
        assert!(futures::poll!(&mut waiting).is_pending());
        directory.see(Event::Apply(is_ready()), Instant::now());
        assert_eq!(waiting.await.unwrap().session_id, ID);
        assert_eq!(directory.wait_until_ready("u", true).await.unwrap().session_id, ID);
    }

    #[tokio::test(start_paused = true)]
    async fn a_creator_hears_why_there_is_no_session() {
        let directory = directory();
        let waiting = directory.wait_until_ready("u", true);
        let mut waiting = std::pin::pin!(waiting);
        assert!(futures::poll!(&mut waiting).is_pending());
        directory.see(Event::Apply(has_ended()), Instant::now());
        assert_eq!(waiting.await.unwrap_err().reason.as_str(), "IdleTimeout");
        directory.see(Event::Delete(has_ended()), Instant::now());
        let pending = session(json!({"conditions": [condition("False", "Unschedulable")]}));
        directory.see(Event::Apply(pending), Instant::now());
        assert_eq!(directory.pending_reason("u").unwrap().reason.as_str(), "Unschedulable");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_for_an_end_hears_of_it_however_far_the_session_was() {
        let directory = directory();
        directory.see(Event::Apply(session(json!({}))), Instant::now());
        {
            let waiting = std::pin::pin!(directory.wait_for_end("u"));
            assert!(futures::poll!(waiting).is_pending());
        }
        assert!(directory.index.lock().outcome_waiters.is_empty());
        let mut waiting = std::pin::pin!(directory.wait_for_end("u"));
        assert!(futures::poll!(&mut waiting).is_pending());
        directory.see(Event::Apply(is_ready()), Instant::now());
        assert!(futures::poll!(&mut waiting).is_pending());
        directory.see(Event::Apply(has_ended()), Instant::now());
        waiting.await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_id_that_is_not_known_yet_is_waited_for_a_moment() {
        let directory = Arc::new(directory());
        let begun = Instant::now();
        assert!(directory.find(ID).await.is_err());
        assert_eq!(begun.elapsed(), UNKNOWN_ID_TIMEOUT);
        assert!(directory.find("not-a-uuid").await.is_err());
        assert_eq!(begun.elapsed(), UNKNOWN_ID_TIMEOUT);
        assert!(directory.index.lock().id_waiters.is_empty());

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
        directory.end_by_client(ID);
        let begun = Instant::now();
        assert!(directory.find(ID).await.is_err());
        directory.see(Event::Apply(is_ready()), Instant::now());
        assert!(directory.find(ID).await.is_err());
        assert_eq!(begun.elapsed(), Duration::ZERO);
        directory.see(Event::Delete(has_ended()), Instant::now() + ENDED_ID_RETENTION * 2);
        assert!(directory.index.lock().ended.is_empty());
    }

    #[test]
    fn a_class_has_those_that_live() {
        let directory = directory();
        let mut waiting = session(json!({"phase": "Pending"}));
        waiting.spec.class_name = Some("c".to_owned());
        directory.see(Event::Apply(waiting), Instant::now());
        assert_eq!(directory.sessions_per_class(), BTreeMap::new());
        let starting = session(json!({"phase": "Starting", "className": "c"}));
        directory.see(Event::Apply(starting), Instant::now());
        assert_eq!(directory.sessions_per_class(), BTreeMap::from([("c".to_owned(), 1)]));
        directory.see(Event::Apply(has_ended()), Instant::now());
        assert_eq!(directory.sessions_per_class(), BTreeMap::new());
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_new_list_lacks_is_gone() {
        let directory = directory();
        directory.see(Event::Apply(is_ready()), Instant::now());
        directory.see(Event::Init, Instant::now());
        directory.see(Event::InitDone, Instant::now());
        assert!(directory.find(ID).await.is_err());
        assert!(directory.index.lock().by_uid.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_of_another_installation_is_none_here() {
        let directory = directory();
        let mut theirs = is_ready();
        theirs.status.get_or_insert_default().session_id =
            Some("6d1f2f4e-0000-8000-8000-000000000001".to_owned());
        directory.see(Event::Apply(theirs), Instant::now());
        assert!(directory.index.lock().by_id.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_that_cannot_be_read_is_over_and_nobody_waits_for_it() {
        let broken = || {
            let text = format!(
                r#"{{"apiVersion": "browser-operator.io/v1alpha1", "kind": "BrowserSession",
                "metadata": {{"name": "s", "namespace": "n", "uid": "u"}},
                "spec": {{"userMetadata": {}1{}}}}}"#,
                r#"{"a":"#.repeat(5_000),
                "}".repeat(5_000)
            );
            serde_json::from_str::<Sent<BrowserSession>>(&text).unwrap()
        };
        let says_so = |error: &str| {
            assert!(error.contains("BrowserSession s in namespace n cannot be read"), "{error}");
        };
        for first in [None, Some(is_ready())] {
            let directory = directory();
            let waiting = directory.wait_until_ready("u", true);
            let mut waiting = std::pin::pin!(waiting);
            assert!(futures::poll!(&mut waiting).is_pending());
            if let Some(first) = first {
                directory.see(Event::Apply(first), Instant::now());
            }
            directory.handle(Event::Apply(broken()), Instant::now());
            let begun = Instant::now();
            says_so(&directory.find(ID).await.unwrap_err().message);
            if let Err(end) = waiting.await {
                says_so(&end.message);
            }
            assert_eq!(begun.elapsed(), Duration::ZERO);
            // It is deleted like any other.
            directory.handle(Event::Delete(broken()), Instant::now());
            assert!(directory.index.lock().by_uid.is_empty());
        }
    }

    /// What this process holds in memory, in bytes.
    fn resident() -> u64 {
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
        statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
    }

    /// docs/access.md states the figures, which `--nocapture` prints.
    #[test]
    fn a_live_session_and_a_record_take_little() {
        const SESSIONS: u64 = 5_000;
        let new_directory = directory;
        let directory = directory();
        let capabilities = json!({
            "acceptInsecureCerts": false, "browserName": "chrome", "browserVersion": "156.0.8078.79",
            "goog:chromeOptions": {"debuggerAddress": "localhost:40000"}, "networkConnectionEnabled": false,
            "chrome": {"chromedriverVersion": "156.0.8078.79 (abcdef)", "userDataDir": "/tmp/profile"},
            "pageLoadStrategy": "normal", "platformName": "linux", "proxy": {}, "setWindowRect": true,
            "strictFileInteractability": false, "unhandledPromptBehavior": "dismiss and notify",
            "timeouts": {"implicit": 0, "pageLoad": 300_000, "script": 30_000},
            "userAgent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0",
            "webSocketUrl": "ws://gateway.browser-operator:4444/session/00000000-0000-8000-8000-000000000000",
        });
        let object = |number: u64, phase: &str| {
            let uid = uuid::Uuid::from_u128(number.into()).to_string();
            let reason = if phase == "Ready" { "BrowserReady" } else { "ClientEnded" };
            let mut object = session(json!({
                "phase": phase, "sessionId": directory.session_id(&uid), "podName": format!("s-{number}"),
                "podIP": "10.0.0.1", "capabilities": capabilities, "className": "chromium",
                "conditions": [condition(if phase == "Ready" { "True" } else { "False" }, reason)],
            }));
            object.metadata.uid = Some(uid);
            object
        };
        let fill = |phase: &str| {
            let (filled, before) = (new_directory(), resident());
            for number in 0..SESSIONS {
                filled.see(Event::Apply(object(number, phase)), Instant::now());
            }
            (resident().saturating_sub(before) / SESSIONS, filled)
        };
        let (live, _lives) = fill("Ready");
        let (ended, _records) = fill("Completed");
        println!("{live} bytes for each live session, {ended} for each record");
        assert!(ended < 2_000, "{ended} bytes for each record");
        assert!(live < 6_000, "{live} bytes for each live session");
    }
}
