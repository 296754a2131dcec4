//! What the rules of one browser share: a namespace, a client, and sessions that many rules look at.

use anyhow::{Context, Result, bail, ensure};
use crds::{Phase, Reason};
use e2e::{Bidi, Classic, Namespace, Reply};
use kube::ResourceExt;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::{Mutex, OnceCell, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::{
    browser::Browser,
    reply::{INVALID_ARGUMENT, NOT_CREATED, check_envelope, expect, shortened},
};

/// A well-formed id that no session has.
pub const UNKNOWN_ID: &str = "00000000-0000-8000-8000-000000000000";
/// A browserName that nothing matches: capabilities that are refused for it alone are well-formed.
pub const NO_BROWSER: &str = "no such browser";

pub struct Fixture {
    /// The browser that every session here has.
    pub browser: Browser,
    /// Where its sessions are.
    pub namespace: Namespace,
    /// A client that may make sessions here.
    pub client: Classic,
    token: String,
    shared: OnceCell<Session>,
    plain: OnceCell<RwLock<Session>>,
    bare: OnceCell<Mutex<Bare>>,
}

/// A session created over HTTP.
#[derive(Clone, Debug)]
pub struct Session {
    /// The WebDriver session id.
    pub id: String,
    pub capabilities: Value,
    /// New Session's whole answer.
    pub value: Value,
}

/// A session created by `session.new`.
pub struct Bare {
    /// The socket that created it.
    pub bidi: Bidi,
    /// What `session.new` answered.
    pub result: Value,
}

impl Fixture {
    pub async fn new(browser: Browser, namespace: Namespace) -> Result<Self> {
        let token = namespace.runner().await?;
        let client = Classic::new(&namespace.cluster.settings.gateway_url, Some(token.clone()));
        let (shared, plain, bare) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        Ok(Self { browser, namespace, client, token, shared, plain, bare })
    }

    /// A page of the test site, as the browser reaches it.
    pub fn page(&self, path: &str) -> String {
        self.namespace.cluster.page(path)
    }

    /// Sends a command, and checks the reply's envelope.
    pub async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Reply> {
        self.send_text(method, path, body.map(Value::to_string)).await
    }

    /// Like [`Self::send`], with a body that need not be JSON.
    pub async fn send_text(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
    ) -> Result<Reply> {
        let reply = self.client.send_text(method.clone(), path, body).await?;
        check_envelope(&reply).with_context(|| {
            format!("{method} {path}: {} {}", reply.status, shortened(&reply.body.to_string()))
        })?;
        Ok(reply)
    }

    /// Sends a command that must succeed, and returns its value.
    pub async fn value(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let mut reply = self.send(method.clone(), path, body).await?;
        ensure!(
            reply.status == 200,
            "{method} {path}: {} {}",
            reply.status,
            shortened(&reply.body.to_string())
        );
        Ok(reply.body["value"].take())
    }

    pub async fn get(&self, path: &str) -> Result<Value> {
        self.value(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Result<Value> {
        self.value(Method::POST, path, Some(&body)).await
    }

    pub async fn delete(&self, path: &str) -> Result<Value> {
        self.value(Method::DELETE, path, None).await
    }

    /// Sends a command that must get this error.
    pub async fn fails(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        refusal: (u16, &str),
    ) -> Result<()> {
        expect(&self.send(method, path, body).await?, refusal)
    }

    /// A set of capabilities that asks for this browser, unless it asks for one already.
    pub fn of_browser(&self, set: &Value) -> Value {
        with(set, "browserName", self.browser.name())
    }

    /// New Session that must get this error. A session created all the same is deleted.
    pub async fn refuses(&self, body: &Value, refusal: (u16, &str)) -> Result<()> {
        self.refuses_text(body.to_string(), refusal).await
    }

    /// Like [`Self::send`], with a body that need not be JSON.
    pub async fn refuses_text(&self, body: String, refusal: (u16, &str)) -> Result<()> {
        let reply = self.send_text(Method::POST, "/session", Some(body)).await?;
        if let Some(id) = reply.body["value"]["sessionId"].as_str() {
            self.remove(id).await;
            bail!("a session was made: {}", reply.body["value"]["capabilities"]);
        }
        expect(&reply, refusal)
    }

    /// Capabilities that are `invalid argument`.
    pub async fn invalid(&self, capabilities: Value) -> Result<()> {
        self.refuses(&json!({"capabilities": capabilities}), INVALID_ARGUMENT).await
    }

    /// Well-formed capabilities that nothing matches.
    pub async fn unmatched(&self, capabilities: Value) -> Result<()> {
        self.refuses(&json!({"capabilities": capabilities}), NOT_CREATED).await
    }

    /// A well-formed set. No browser is needed: the browserName that is added matches nothing.
    pub async fn valid(&self, set: &Value) -> Result<()> {
        self.unmatched(json!({"alwaysMatch": with(set, "browserName", NO_BROWSER)})).await
    }

    pub async fn create(&self, body: &Value) -> Result<Session> {
        Session::new(self.value(Method::POST, "/session", Some(body)).await?)
    }

    pub async fn new_session(&self, set: &Value) -> Result<Session> {
        self.create(&json!({"capabilities": {"alwaysMatch": self.of_browser(set)}})).await
    }

    /// Creates a session of this browser for the length of the check.
    pub async fn with_session<T>(
        &self,
        set: Value,
        check: impl AsyncFnOnce(&Session) -> Result<T>,
    ) -> Result<T> {
        let session = self.new_session(&set).await?;
        self.with_removal(session, check).await
    }

    /// Runs a check on a session, then deletes the session.
    pub async fn with_removal<T>(
        &self,
        session: Session,
        check: impl AsyncFnOnce(&Session) -> Result<T>,
    ) -> Result<T> {
        let outcome = check(&session).await;
        self.remove(&session.id).await;
        outcome
    }

    /// Ends a session, if it has not ended. What is left is found when the namespace is cleared.
    async fn remove(&self, id: &str) {
        let _ = self.client.send(Method::DELETE, &format!("/session/{id}"), None).await;
    }

    /// A session that speaks Classic and BiDi, for rules that change nothing in it.
    pub async fn shared(&self) -> Result<&Session> {
        self.shared
            .get_or_try_init(async || {
                let session = self.new_session(&json!({"webSocketUrl": true})).await?;
                let url = json!({"url": self.page("/")});
                self.post(&session.path("/url"), url).await?;
                Ok(session)
            })
            .await
    }

    /// A session that speaks Classic only and was asked for nothing but its browser, for rules that change nothing in
    /// it.
    pub async fn plain(&self) -> Result<RwLockReadGuard<'_, Session>> {
        Ok(self.any_plain().await?.read().await)
    }

    /// The same session under a write lock: this rule may change in it what does not disturb others.
    pub async fn plain_alone(&self) -> Result<RwLockWriteGuard<'_, Session>> {
        Ok(self.any_plain().await?.write().await)
    }

    async fn any_plain(&self) -> Result<&RwLock<Session>> {
        let make = async || Ok(RwLock::new(self.new_session(&json!({})).await?));
        self.plain.get_or_try_init(make).await
    }

    /// A session that speaks BiDi only, for rules that change nothing in it.
    pub async fn bare(&self) -> Result<&Mutex<Bare>> {
        self.bare.get_or_try_init(async || Ok(Mutex::new(self.new_bare().await?))).await
    }

    pub async fn bare_socket(&self) -> Result<Bidi> {
        Bidi::connect_as(&self.namespace.cluster.bare_socket_url(), Some(&self.token)).await
    }

    /// A session that speaks BiDi only, of this browser.
    pub async fn new_bare(&self) -> Result<Bare> {
        let mut bidi = self.bare_socket().await?;
        let result = bidi.command("session.new", self.wanted_by_bidi()).await?;
        Ok(Bare { bidi, result })
    }

    pub fn wanted_by_bidi(&self) -> Value {
        json!({"capabilities": {"alwaysMatch": self.of_browser(&json!({}))}})
    }

    pub async fn socket(&self, session: &Session) -> Result<Bidi> {
        self.namespace.cluster.socket(&session.id).await
    }

    /// The name of a session's object.
    pub async fn object(&self, id: &str) -> Result<String> {
        Ok(self.namespace.cluster.session_with_id(id).await?.name_any())
    }

    /// Waits until the record of a session says that it has ended, for this reason and in good order, and its pod is
    /// gone.
    pub async fn over(&self, object: &str, reason: Reason) -> Result<()> {
        self.namespace.ended(object, Phase::Completed, reason).await.map(drop)
    }
}

impl Session {
    /// The session that New Session answered with this.
    pub fn new(value: Value) -> Result<Self> {
        let id = value["sessionId"].as_str().context("sessionId")?.to_owned();
        Ok(Self { id, capabilities: value["capabilities"].clone(), value })
    }

    /// The path of one of its commands.
    pub fn path(&self, rest: &str) -> String {
        format!("/session/{}{rest}", self.id)
    }

    /// A text among its capabilities.
    pub fn text(&self, capability: &str) -> Result<&str> {
        let text = self.capabilities[capability].as_str();
        text.with_context(|| format!("{capability} in {}", self.capabilities))
    }
}

impl Bare {
    /// The session's id.
    pub fn id(&self) -> Result<&str> {
        self.result["sessionId"].as_str().context("sessionId")
    }
}

/// A set of capabilities with one more, unless it has it; what is no set stays as it is.
pub fn with(set: &Value, name: &str, value: &str) -> Value {
    let mut set = set.clone();
    if let Value::Object(set) = &mut set {
        set.entry(name).or_insert_with(|| value.into());
    }
    set
}
