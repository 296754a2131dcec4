//! WebDriver BiDi: sockets of sessions that exist, and bare sockets on which one is made.

use std::{sync::Arc, time::Duration};

use crds::{capabilities::CapabilitySet, names::Protocol};
use http::{HeaderMap, HeaderValue, StatusCode};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use runtime::http::{incoming::Incoming, tunnel};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::handshake::{client::generate_key, derive_accept_key};
use tokio_util::sync::CancellationToken;
use warp::{Reply, reply::Response};
use wire::{
    bidi::{self, Command},
    capabilities::{Dialect, process},
    error::WebDriverError,
    route::{self, Socket},
};

use super::{Gateway, classic::state};
use crate::{
    directory::Entry,
    frames::{self, MAX_MESSAGE, Reader, Received, Violation},
    metrics::{Front, Outcome},
    own,
    proxy::{self, Handshake},
    urls,
};

/// How long a socket without a session may be silent.
const IDLE: Duration = Duration::from_secs(300);

/// Answers a handshake.
pub async fn socket(gateway: Arc<Gateway>, incoming: Incoming) -> Response {
    let path = incoming.path.clone();
    let key = match tunnel::handshake_key(&incoming.headers) {
        Ok(key) => key.clone(),
        Err(message) => {
            return warp::reply::with_status(message, StatusCode::BAD_REQUEST).into_response();
        }
    };
    let (Some(upgrade), headers) = (incoming.upgrade, incoming.headers) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    match route::socket(&path) {
        Socket::Session { id } => of_session(&gateway, id, &key, upgrade).await,
        Socket::Bare => bare(gateway, headers, &key, upgrade),
        Socket::Unknown => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn of_session(
    gateway: &Gateway,
    id: &str,
    key: &HeaderValue,
    upgrade: OnUpgrade,
) -> Response {
    // "act as if the requested service is not available" (BiDi, section "Transport").
    let Some(entry) = gateway.directory.find(id).await else {
        return StatusCode::NOT_FOUND.into_response();
    };
    match proxy::handshake(&entry, key).await {
        Ok(Handshake::Accepted(response, agent)) => {
            let over = entry.over.clone();
            gateway.tasks.spawn(proxy::carry(upgrade, agent, over, gateway.metrics.tunnel()));
            response
        }
        Ok(Handshake::Refused(response)) => response,
        Err(error) => {
            tracing::debug!(uid = entry.uid, error = &error as &dyn std::error::Error, "no answer");
            StatusCode::NOT_FOUND.into_response()
        }
    }
}

fn bare(
    gateway: Arc<Gateway>,
    headers: HeaderMap,
    key: &HeaderValue,
    upgrade: OnUpgrade,
) -> Response {
    let Ok(accept) = HeaderValue::from_str(&derive_accept_key(key.as_bytes())) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let tasks = gateway.tasks.clone();
    tasks.spawn(async move {
        let _counted = gateway.metrics.tunnel();
        match upgrade.await {
            Ok(upgraded) => Bare::new(&gateway, &headers, upgraded).attend().await,
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "no socket came of it");
            }
        }
    });
    tunnel::switching_protocols(accept)
}

/// A socket without a session.
struct Bare<'a> {
    gateway: &'a Gateway,
    headers: &'a HeaderMap,
    io: TokioIo<Upgraded>,
    reader: Reader,
}

/// What became of a message.
enum Then {
    /// The socket stays bare.
    Stay,
    /// It is a session's now; the agent's end of it, and the session's own end.
    Tunnel(OnUpgrade, CancellationToken),
    /// It is done.
    Leave,
}

impl<'a> Bare<'a> {
    fn new(gateway: &'a Gateway, headers: &'a HeaderMap, upgraded: Upgraded) -> Self {
        Self { gateway, headers, io: TokioIo::new(upgraded), reader: Reader::default() }
    }

    async fn attend(mut self) {
        let stop = self.gateway.stop.clone();
        loop {
            let then = match self.reader.next() {
                Ok(Some(received)) => self.take(received).await,
                Ok(None) => tokio::select! {
                    then = self.read() => then,
                    () = tokio::time::sleep(IDLE) => {
                        self.send(frames::close(1001, "no message for too long")).await;
                        Then::Leave
                    }
                    () = stop.cancelled() => {
                        self.send(frames::close(1001, "this replica is shutting down")).await;
                        Then::Leave
                    }
                },
                Err(Violation(code)) => {
                    self.send(frames::close(code, "")).await;
                    Then::Leave
                }
            };
            match then {
                Then::Stay => {}
                Then::Leave => return,
                Then::Tunnel(agent, over) => {
                    let Self { io, reader, .. } = self;
                    proxy::carry_on(io, &reader.buffer, agent, over).await;
                    return;
                }
            }
        }
    }

    async fn read(&mut self) -> Then {
        match self.io.read_buf(&mut self.reader.buffer).await {
            Ok(n) if n > 0 => Then::Stay,
            Ok(_) | Err(_) => Then::Leave,
        }
    }

    /// Sends what is left to a client that may be gone.
    async fn send(&mut self, bytes: Vec<u8>) -> Then {
        match self.io.write_all(&bytes).await {
            Ok(()) => Then::Stay,
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "socket broke");
                Then::Leave
            }
        }
    }

    async fn take(&mut self, received: Received) -> Then {
        let text = match received {
            Received::Text(text) => text,
            Received::Binary => return self.send(frames::text(bidi::not_text())).await,
            Received::Ping(payload) => return self.send(frames::pong(payload)).await,
            Received::Close => {
                self.send(frames::close(1000, "")).await;
                return Then::Leave;
            }
        };
        let command = match bidi::parse(&text) {
            bidi::Incoming::Invalid { id, error } => {
                return self.send(frames::text(bidi::failure(id, &error))).await;
            }
            bidi::Incoming::Command(command) => command,
        };
        match command.method.as_str() {
            "session.status" => {
                let (ready, message) = state(self.gateway);
                let status = json!({"ready": ready, "message": message});
                self.send(frames::text(bidi::success(command.id, &status))).await
            }
            "session.new" => self.new_session(&command).await,
            // Not a static command, and there is no session (BiDi, "handle an incoming message").
            _ => {
                let error = WebDriverError::invalid_session_id();
                self.send(frames::text(bidi::failure(Some(command.id), &error))).await
            }
        }
    }

    async fn new_session(&mut self, command: &Command<'_>) -> Then {
        let Self { gateway, headers, io, reader } = self;
        let creating = create(gateway, headers, command.params());
        let outcome = tokio::select! {
            outcome = creating => outcome,
            // Dropping the creation ends what it has made.
            () = gone(io, reader) => return Then::Leave,
        };
        let counted = if outcome.is_ok() { Outcome::Created } else { Outcome::Refused };
        self.gateway.metrics.requested(Front::Bidi, counted);
        match outcome {
            Ok(Created { result, agent, over }) => {
                match self.send(frames::text(bidi::success(command.id, &result))).await {
                    Then::Stay => Then::Tunnel(agent, over),
                    other => other,
                }
            }
            Err(error) => self.send(frames::text(bidi::failure(Some(command.id), &error))).await,
        }
    }
}

/// Reads ahead, within the limit of a message, until the client is gone.
async fn gone(io: &mut TokioIo<Upgraded>, reader: &mut Reader) {
    while reader.buffer.len() < MAX_MESSAGE {
        match io.read_buf(&mut reader.buffer).await {
            Ok(n) if n > 0 => {}
            Ok(_) | Err(_) => return,
        }
    }
    std::future::pending().await
}

/// A session on a socket that was bare.
struct Created {
    /// What session.new answers.
    result: Value,
    /// The agent's end of the tunnel.
    agent: OnUpgrade,
    /// The session's own end.
    over: CancellationToken,
}

async fn create(
    gateway: &Gateway,
    headers: &HeaderMap,
    params: Map<String, Value>,
) -> Result<Created, WebDriverError> {
    let asked = params.get("capabilities").cloned().unwrap_or_default();
    process(&asked, Dialect::Bidi)?;
    let mut wanted = own::wanted(&asked)?;
    // That it speaks BiDi goes without saying here, and must be said to a driver.
    for alternative in wanted.spec.capabilities.first_match.iter_mut().flatten() {
        alternative.remove("webSocketUrl");
    }
    wanted
        .spec
        .capabilities
        .always_match
        .get_or_insert_default()
        .insert("webSocketUrl".to_owned(), true.into());
    let caller = gateway
        .callers
        .admit(headers, wanted.namespace.as_deref())
        .await
        .map_err(|error| WebDriverError::session_not_created(error.to_string()))?;
    let entry = gateway.sessions.create(&caller, wanted, Protocol::Bidi).await?;
    let agent = match connect(&entry).await {
        Ok(agent) => agent,
        Err(error) => {
            gateway.sessions.give_up(&caller.namespace, &entry.name);
            return Err(error);
        }
    };
    let base = urls::socket_base(gateway.external_url.as_deref(), None, headers);
    let result = json!({
        "sessionId": entry.session_id,
        "capabilities": capabilities(&entry, &base),
    });
    Ok(Created { result, agent, over: entry.over.clone() })
}

async fn connect(entry: &Entry) -> Result<OnUpgrade, WebDriverError> {
    let key = HeaderValue::from_str(&generate_key())
        .map_err(|error| WebDriverError::session_not_created(error.to_string()))?;
    match proxy::handshake(entry, &key).await {
        Ok(Handshake::Accepted(_, agent)) => Ok(agent),
        Ok(Handshake::Refused(response)) => Err(WebDriverError::session_not_created(format!(
            "the browser's pod refused its socket with status {}",
            response.status()
        ))),
        Err(error) => Err(WebDriverError::session_not_created(error.to_string())),
    }
}

/// What session.new answers (BiDi, session.CapabilitiesResult): prompt behaviour only as a map.
fn capabilities(entry: &Entry, socket_base: &str) -> CapabilitySet {
    let mut capabilities = entry.capabilities.clone();
    if !capabilities.get("unhandledPromptBehavior").is_some_and(Value::is_object) {
        capabilities.remove("unhandledPromptBehavior");
    }
    let url = format!("{socket_base}/session/{}", entry.session_id);
    capabilities.insert("webSocketUrl".to_owned(), url.into());
    capabilities
}
