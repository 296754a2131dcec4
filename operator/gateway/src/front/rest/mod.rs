//! The APIs of hosted browser services: each front reads its own create call and renders its own answers; what they come
//! to is the same object.

pub mod browser_use;
pub mod browserbase;
mod features;
mod fields;
mod later;
mod openapi;
mod problem;
mod records;

use std::{net::IpAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use crds::{
    BrowserSession, BrowserSessionSpec, Capabilities, Reason, capabilities::CapabilitySet,
    names::Protocol,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use net::{
    Body,
    body::{collect_within, drain},
    request::Incoming,
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use warp::{Reply, reply::Response};

use self::{problem::Problem, records::Record};
use super::Gateway;
use crate::{
    caller::{self, Caller},
    directory::Entry,
    metrics::{Front, Outcome},
    own::Wanted,
    sessions::{Abandon, NotMade, Patience},
    urls,
};

pub use openapi::document;

/// The most bytes of a body.
const MAX_BODY: usize = 256 << 10;
/// How long it may take to come.
const BODY_TIME: Duration = Duration::from_secs(30);
/// How long a create call may take: the clients of both services give up after 60 s.
const CREATE: Duration = Duration::from_secs(55);
/// How long a session is kept that nobody connects to, and how long its record.
const CONNECT_TIMEOUT_SECONDS: i32 = 300;
const TTL_SECONDS: i32 = 3600;

/// One request of a REST front.
pub struct Request {
    /// Its method.
    pub method: Method,
    /// Its path.
    pub path: String,
    /// What is behind the question mark.
    pub query: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, until somebody wants it.
    body: Mutex<Option<Body>>,
    /// Who is at the other end of its connection.
    pub peer: IpAddr,
}

impl Request {
    fn of(incoming: Incoming) -> Self {
        let Incoming { method, path, query, headers, connection, body, .. } = incoming;
        Self {
            method,
            path,
            query,
            headers,
            body: Mutex::new(Some(body)),
            peer: connection.peer.ip(),
        }
    }

    /// The body, whole; to be asked for once, by a call whose caller may. What is refused anyway, a key or a path, is refused
    /// before anything is kept in memory.
    async fn body(&self) -> Result<Bytes, Problem> {
        let Some(body) = self.body.lock().take() else { return Ok(Bytes::new()) };
        collect_within(body, MAX_BODY, BODY_TIME)
            .await
            .map_err(|error| Problem::fault(&["body"], "value_error", error.to_string()))
    }

    /// The first value of a parameter of the query.
    fn parameter(&self, name: &str) -> Option<String> {
        self.parameters(name).into_iter().next()
    }

    /// The values of a parameter that may be there more than once.
    fn parameters(&self, name: &str) -> Vec<String> {
        let parameters = url::form_urlencoded::parse(self.query.as_bytes());
        let of_it = parameters.filter(|(key, _)| key == name);
        of_it.map(|(_, value)| value.into_owned()).collect()
    }
}

/// How a front looks.
pub struct Style {
    /// The header with the API key.
    key: HeaderName,
    /// What its metrics are counted under.
    front: Front,
    /// How it tells a problem.
    problem: fn(&Problem) -> (StatusCode, Value),
    /// Which fields of the object are which of its own create call's.
    names: &'static [(&'static str, &'static [&'static str])],
}

/// Answers a request of a front.
pub async fn run(
    gateway: Arc<Gateway>,
    incoming: Incoming,
    style: &Style,
    answer: impl AsyncFnOnce(&Gateway, &Request) -> Result<Response, Problem>,
) -> Response {
    let request = Request::of(incoming);
    let answered = answer(&gateway, &request).await;
    if let Some(body) = request.body.into_inner() {
        drain(body).await;
    }
    answered.unwrap_or_else(|problem| {
        let (status, body) = (style.problem)(&problem);
        let mut response = json_reply(status, &body);
        let headers = response.headers_mut();
        // The clients of both services send a request again that was refused for want of room, and again; asking later
        // is for whoever wrote the program. What is not served never will be.
        if [StatusCode::TOO_MANY_REQUESTS, StatusCode::NOT_IMPLEMENTED].contains(&status) {
            headers.insert("x-should-retry", HeaderValue::from_static("false"));
        }
        if status == StatusCode::TOO_MANY_REQUESTS {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("30"));
        }
        response
    })
}

/// A reply of JSON.
fn json_reply(status: StatusCode, body: &Value) -> Response {
    warp::reply::with_status(warp::reply::json(body), status).into_response()
}

/// Who asks, and whether they may.
async fn admit(
    gateway: &Gateway,
    request: &Request,
    style: &Style,
    verb: &str,
) -> Result<Caller, Problem> {
    let key = request.headers.get(&style.key);
    let key = key.map(|key| key.to_str().unwrap_or_default().to_owned());
    let credential = key.or_else(|| caller::credential(&request.headers));
    callers(gateway, style, credential, verb).await
}

async fn callers(
    gateway: &Gateway,
    style: &Style,
    credential: Option<String>,
    verb: &str,
) -> Result<Caller, Problem> {
    gateway.callers.admit(credential, None, verb).await.map_err(|error| match error {
        caller::Error::Unauthenticated(message) => {
            Problem::Unauthenticated(format!("{message} (header {})", style.key))
        }
        caller::Error::Forbidden(message) => Problem::Forbidden(message),
        caller::Error::Unknown(error) => Problem::Failed(error.to_string()),
    })
}

/// The spec that every session of a REST front begins with: Chrome, which speaks CDP; no limit of idleness, because its
/// sockets say what it lives by; gone when nobody comes.
fn spec(timeout_seconds: Option<i32>) -> BrowserSessionSpec {
    let chrome = CapabilitySet::from_iter([("browserName".to_owned(), "chrome".into())]);
    let default: BrowserSessionSpec = serde_json::from_value(json!({})).unwrap_or_default();
    BrowserSessionSpec {
        capabilities: Capabilities { always_match: Some(chrome), first_match: None },
        timeout_seconds: timeout_seconds.unwrap_or(default.timeout_seconds),
        idle_timeout_seconds: 0,
        connect_timeout_seconds: CONNECT_TIMEOUT_SECONDS,
        ttl_seconds_after_finished: Some(TTL_SECONDS),
        ..default
    }
}

/// Makes a session and gives its record, with the browser up. It is abandoned unless it is disarmed with the answer.
async fn create(
    gateway: &Gateway,
    caller: &Caller,
    style: &Style,
    spec: BrowserSessionSpec,
    front: Value,
) -> Result<(Record, Abandon), Problem> {
    let made = make(gateway, caller, style, spec, front).await;
    let counted = if made.is_ok() { Outcome::Created } else { Outcome::Refused };
    gateway.metrics.requested(style.front, counted);
    made
}

async fn make(
    gateway: &Gateway,
    caller: &Caller,
    style: &Style,
    spec: BrowserSessionSpec,
    front: Value,
) -> Result<(Record, Abandon), Problem> {
    gateway.accepts().map_err(|error| Problem::Failed(error.message))?;
    let wanted = Wanted { namespace: None, spec, protocol: Protocol::Classic, front: Some(front) };
    let patience = Patience { limit: CREATE, queues: false };
    let made = gateway.sessions.create(caller, wanted, patience).await;
    let (entry, abandon) = made.map_err(|error| problem(&error, style))?;
    let record = records::get(gateway, &caller.namespace, &entry.name).await?;
    Ok((record, abandon))
}

/// Makes a session for a client that has only the gateway's URL, and speaks CDP: it ends with its last socket, and is abandoned
/// unless it is disarmed with the answer.
///
/// # Errors
/// A status, and why.
pub async fn for_cdp(
    gateway: &Gateway,
    headers: &HeaderMap,
) -> Result<(Arc<Entry>, String, Abandon), (StatusCode, String)> {
    let style = Style {
        key: header::AUTHORIZATION,
        front: Front::Cdp,
        problem: Problem::browserbase,
        names: &[],
    };
    let made = async {
        let credential = caller::credential(headers);
        let caller = callers(gateway, &style, credential, "create").await?;
        let spec = BrowserSessionSpec { keep_alive: Some(false), ..spec(None) };
        let front = json!({"api": "cdp"});
        let (record, abandon) = create(gateway, &caller, &style, spec, front).await?;
        let link = link(gateway, &record);
        let entry = gateway.directory.find(&record.id).await;
        Ok((entry.map_err(|error| Problem::Failed(error.message))?, link, abandon))
    };
    made.await.map_err(|problem: Problem| (problem.browserbase().0, problem.message()))
}

fn problem(error: &NotMade, style: &Style) -> Problem {
    let message = error.to_string();
    match error {
        NotMade::Refused(refusal) if refusal.reason == Reason::ContextNotFound => {
            Problem::NotFound(message)
        }
        NotMade::Refused(refusal) => {
            match style.names.iter().find(|(field, _)| *field == refusal.field) {
                Some((_, path)) => {
                    let path: Vec<&str> = ["body"].iter().chain(*path).copied().collect();
                    Problem::fault(&path, "not_available", refusal.words.clone())
                }
                None => Problem::Refused(message),
            }
        }
        NotMade::Invalid(_) => Problem::Refused(message),
        NotMade::Quota(_) => Problem::Full(message),
        NotMade::Over(over) if over.is_full() => Problem::Full(message),
        NotMade::Late(Some(over), _) if over.is_full() => Problem::Full(message),
        NotMade::Over(_) | NotMade::Late(..) | NotMade::Cluster(_) | NotMade::ShuttingDown => {
            Problem::Failed(message)
        }
    }
}

/// The base of this gateway's URLs for that client: `ws` or `wss`.
fn socket_base(gateway: &Gateway, request: &Request) -> String {
    urls::socket_base(&gateway.urls, None, &request.headers, request.peer)
}

/// The same with `http` or `https`.
fn http_base(gateway: &Gateway, request: &Request) -> String {
    socket_base(gateway, request).replacen("ws", "http", 1)
}

/// What makes a URL a credential for a session, as long as that lives.
fn link(gateway: &Gateway, record: &Record) -> String {
    let uid = record.object.metadata.uid.as_deref().unwrap_or_default();
    gateway.directory.link(uid, record.expires().as_second())
}

/// What its front noted of a session.
fn noted(object: &BrowserSession) -> Value {
    object
        .metadata
        .annotations
        .as_ref()
        .and_then(|annotations| annotations.get(crds::names::FRONT_ANNOTATION))
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default()
}
