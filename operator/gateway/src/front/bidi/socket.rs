//! WebDriver BiDi: sockets of sessions that exist, and bare sockets on which one is made.

use std::{sync::Arc, time::Duration};

use crds::{capabilities::CapabilitySet, names::Protocol};
use futures::FutureExt;
use http::{HeaderMap, HeaderValue, StatusCode};
use hyper::upgrade::OnUpgrade;
use net::{
    frames as ws_frames, handshake,
    request::IncomingRequest,
    tunnel::{Endpoint, UpgradedIo, wait_for_close},
};
use serde_json::{Map, Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};
use tokio_tungstenite::tungstenite::{
    handshake::{client::generate_key, derive_accept_key},
    protocol::CloseFrame,
};
use warp::{Reply, reply::Response};
use webdriver::{
    bidi::{self, Command},
    capabilities::{Dialect, process},
    error::WebDriverError,
    route::{self, Socket},
};

use super::message_reader::{self, NO_STATUS, Reader, Received, Violation};
use crate::state::Gateway;
use crate::{
    auth,
    metrics::{Front, Outcome},
    session::{LiveSession, SessionRequest, WaitPolicy},
    traffic::{self, CLOSING, Handshake, TunnelShutdown},
};

/// The path of the browser's DevTools, behind a session's id.
const DEV_TOOLS: &str = "/se/cdp";
/// How long a client may take to read what is there for it.
const READ: Duration = Duration::from_secs(30);
/// The Close frame's code for what may work later.
const TRY_AGAIN: u16 = 1013;
/// How often a client that only waits gets a ping.
const PING: Duration = Duration::from_secs(30);
/// How long a socket without a session may be silent.
const IDLE: Duration = Duration::from_secs(300);

/// Answers a handshake.
pub async fn socket(gateway: Arc<Gateway>, incoming: IncomingRequest) -> Response {
    let path = incoming.path.clone();
    let key = match handshake::key(&incoming.headers) {
        Ok(key) => key.clone(),
        Err(why) => return handshake::refused(why),
    };
    let (Some(upgrade), headers) = (incoming.upgrade, incoming.headers) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    match route::socket(&path) {
        Socket::Session { id } => of_session(&gateway, id, "", &key, upgrade).await,
        Socket::DevTools { id } => of_session(&gateway, id, DEV_TOOLS, &key, upgrade).await,
        Socket::Bare => bare(gateway, headers, &key, upgrade),
        Socket::Unknown => StatusCode::NOT_FOUND.into_response(),
    }
}

/// A socket of a session, BiDi's or the browser's DevTools. One that was made on a bare socket has no other.
pub async fn of_session(
    gateway: &Gateway,
    id: &str,
    rest: &str,
    key: &HeaderValue,
    upgrade: OnUpgrade,
) -> Response {
    // "act as if the requested service is not available" (BiDi, section "Transport").
    let entry = match gateway.directory.find(id).await {
        Ok(entry) if !entry.bidi_only => entry,
        Ok(_) => return StatusCode::NOT_FOUND.into_response(),
        Err(error) => {
            let status = StatusCode::NOT_FOUND;
            return warp::reply::with_status(error.message, status).into_response();
        }
    };
    match traffic::handshake(&entry, rest, key).await {
        Ok(Handshake::Accepted(response, agent)) => {
            let (cuts, counted) = (gateway.cuts(&entry), gateway.metrics.tunnel());
            gateway.tasks.spawn(traffic::carry(upgrade, agent, cuts, counted));
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
    let Ok(place) = gateway.bare.places.clone().try_acquire_owned() else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let tasks = gateway.tasks.clone();
    tasks.spawn(async move {
        let _counted = gateway.metrics.tunnel();
        match Endpoint::upgraded(upgrade).await {
            Ok(end) => Bare::new(&gateway, &headers, end, place).attend().await,
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "no socket came of it");
            }
        }
    });
    handshake::accepted(accept)
}

/// What sockets without a session may take of this replica's memory together; nobody has said yet who they are.
pub struct Limits {
    /// How many there may be.
    places: Arc<Semaphore>,
    /// How many of them may have sent more than [`SMALL`] of what is not answered yet, and up to [`super::message_reader::MAX_MESSAGE`].
    large: Arc<Semaphore>,
}

/// What each may have sent.
const SMALL: usize = 16 << 10;

impl Default for Limits {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(4096)), large: Arc::new(Semaphore::new(96)) }
    }
}

/// A socket without a session.
struct Bare<'a> {
    gateway: &'a Gateway,
    headers: &'a HeaderMap,
    io: UpgradedIo,
    reader: Reader,
    /// Its place among those without a session.
    place: OwnedSemaphorePermit,
    /// Its leave to send a large message.
    large: Option<OwnedSemaphorePermit>,
}

/// What became of a message.
enum Then {
    /// The socket stays bare.
    Stay,
    /// It is a session's now: the agent's end of it, and what cuts it.
    Tunnel(OnUpgrade, TunnelShutdown),
    /// It is done.
    Leave,
}

impl<'a> Bare<'a> {
    fn new(
        gateway: &'a Gateway,
        headers: &'a HeaderMap,
        end: Endpoint,
        place: OwnedSemaphorePermit,
    ) -> Self {
        let Endpoint { io, read } = end;
        Self { gateway, headers, io, reader: Reader::new(read), place, large: None }
    }

    async fn attend(mut self) {
        let stop = self.gateway.stop.clone();
        let mut silent_since = Instant::now();
        loop {
            if self.reader.held() <= SMALL {
                self.large = None;
            }
            let then = match self.reader.next() {
                Ok(Some(received)) => {
                    silent_since = Instant::now();
                    self.take(received).await
                }
                Ok(None) => tokio::select! {
                    then = self.read() => then,
                    () = tokio::time::sleep_until(silent_since + IDLE) => {
                        self.leave(1001, "no message for too long").await
                    }
                    () = tokio::time::sleep(PING) => self.send(ws_frames::ping()).await,
                    () = stop.cancelled() => self.leave(1001, CLOSING).await,
                },
                Err(Violation(code)) => self.leave(code, "").await,
            };
            match then {
                Then::Stay => {}
                Then::Leave => return,
                Then::Tunnel(agent, cuts) => {
                    drop((self.place, self.large));
                    let client = Endpoint { io: self.io, read: self.reader.buffer.freeze() };
                    traffic::carry_on(client, agent, cuts).await;
                    return;
                }
            }
        }
    }

    async fn read(&mut self) -> Then {
        match self.io.read_buf(&mut self.reader.buffer).await {
            Ok(n) if n > 0 => {}
            Ok(_) | Err(_) => return Then::Leave,
        }
        if self.reader.held() > SMALL && self.large.is_none() {
            self.large = self.gateway.bare.large.clone().try_acquire_owned().ok();
            if self.large.is_none() {
                return self.leave(TRY_AGAIN, "too many large messages at a time").await;
            }
        }
        Then::Stay
    }

    /// Sends what is left to a client that may be gone.
    async fn send(&mut self, bytes: Vec<u8>) -> Then {
        match timeout(READ, self.io.write_all(&bytes)).await {
            Ok(Ok(())) => Then::Stay,
            Ok(Err(error)) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "socket broke");
                Then::Leave
            }
            Err(_) => {
                tracing::debug!("the client does not read");
                Then::Leave
            }
        }
    }

    /// Says goodbye.
    async fn leave(&mut self, code: u16, reason: &str) -> Then {
        self.send(close(code, reason)).await;
        wait_for_close(&mut self.io).await;
        Then::Leave
    }

    async fn take(&mut self, received: Received) -> Then {
        let text = match received {
            Received::Text(text) => text,
            Received::Binary => return self.send(message_reader::text(bidi::not_text())).await,
            Received::Ping(payload) => return self.send(message_reader::pong(payload)).await,
            Received::Close(code) => {
                // The same code goes back; without one there is none (RFC 6455, section 5.5.1).
                let code = if code == NO_STATUS { 1000 } else { code };
                self.send(close(code, "")).await;
                return Then::Leave;
            }
        };
        let command = match bidi::parse(&text) {
            bidi::ClientMessage::Invalid { id, error } => {
                return self.send(message_reader::text(bidi::failure(id, &error))).await;
            }
            bidi::ClientMessage::Command(command) => command,
        };
        match command.method.as_str() {
            "session.status" => {
                let (ready, message) = self.gateway.status();
                let status = json!({"ready": ready, "message": message});
                self.send(message_reader::text(bidi::success(command.id, &status))).await
            }
            "session.new" => self.new_session(&command).await,
            // Not a static command, and there is no session (BiDi, "handle an incoming message").
            _ => {
                let error = WebDriverError::invalid_session_id();
                self.send(message_reader::text(bidi::failure(Some(command.id), &error))).await
            }
        }
    }

    async fn new_session(&mut self, command: &Command<'_>) -> Then {
        let Self { gateway, headers, io, reader, .. } = self;
        let creating = create(gateway, headers, command.params());
        let outcome = tokio::select! {
            outcome = creating => outcome,
            // Dropping the creation ends what it has made.
            () = gone(io, reader) => return Then::Leave,
        };
        let counted = if outcome.is_ok() { Outcome::Created } else { Outcome::Refused };
        self.gateway.metrics.requested(Front::Bidi, counted);
        match outcome {
            Ok(Created { result, agent, cuts }) => {
                match self.send(message_reader::text(bidi::success(command.id, &result))).await {
                    Then::Stay => Then::Tunnel(agent, cuts),
                    other => other,
                }
            }
            Err(error) => {
                self.send(message_reader::text(bidi::failure(Some(command.id), &error))).await
            }
        }
    }
}

fn close(code: u16, reason: &str) -> Vec<u8> {
    ws_frames::close(&CloseFrame { code: code.into(), reason: reason.into() })
}

/// Reads ahead, a little, until the client is gone. One that only waits is pinged.
async fn gone(io: &mut UpgradedIo, reader: &mut Reader) {
    loop {
        let more = reader.buffer.len() < SMALL;
        tokio::select! {
            read = io.read_buf(&mut reader.buffer), if more => match read {
                Ok(n) if n > 0 => {}
                Ok(_) | Err(_) => return,
            },
            () = tokio::time::sleep(PING) => {
                // Whole or not at all: this may be dropped at any time, and another frame follows.
                let ping = ws_frames::ping();
                match io.write(&ping).now_or_never() {
                    Some(Ok(written)) if written == ping.len() => {}
                    None => {}
                    Some(Ok(_) | Err(_)) => return,
                }
            }
        }
    }
}

/// A session on a socket that was bare.
struct Created {
    /// What session.new answers.
    result: Value,
    /// The agent's end of the tunnel.
    agent: OnUpgrade,
    /// What cuts it.
    cuts: TunnelShutdown,
}

async fn create(
    gateway: &Gateway,
    headers: &HeaderMap,
    params: Map<String, Value>,
) -> Result<Created, WebDriverError> {
    gateway.accepts()?;
    let asked = params.get("capabilities").cloned().unwrap_or_default();
    process(&asked, Dialect::Bidi)?;
    let mut wanted = SessionRequest::from_capabilities(&asked, Protocol::Bidi)?;
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
        .authorizer
        .authorize(auth::credential(headers), wanted.namespace.as_deref(), "create")
        .await
        .map_err(|error| WebDriverError::session_not_created(error.to_string()))?;
    let (entry, abandon) = gateway.sessions.create(&caller, wanted, WaitPolicy::QUEUE).await?;
    let agent = match connect(&entry).await {
        Ok(agent) => agent,
        Err(error) => {
            let Some(over) = gateway.why_over(&entry).await else {
                abandon.lost();
                return Err(error);
            };
            // It has an end of its own, which says more.
            abandon.disarm();
            return Err(WebDriverError::session_not_created(over.message));
        }
    };
    abandon.disarm();
    let result = json!({
        "sessionId": entry.session_id,
        "capabilities": capabilities(&entry),
    });
    Ok(Created { result, agent, cuts: gateway.cuts(&entry) })
}

async fn connect(entry: &LiveSession) -> Result<OnUpgrade, WebDriverError> {
    let key = HeaderValue::from_str(&generate_key())
        .map_err(|error| WebDriverError::session_not_created(error.to_string()))?;
    match traffic::handshake(entry, "", &key).await {
        Ok(Handshake::Accepted(_, agent)) => Ok(agent),
        Ok(Handshake::Refused(response)) => Err(WebDriverError::session_not_created(format!(
            "the browser's pod refused its socket with status {}",
            response.status()
        ))),
        Err(error) => Err(WebDriverError::session_not_created(error.to_string())),
    }
}

/// What session.new answers (BiDi, session.CapabilitiesResult): prompt behaviour only as a map, a proxy only where there is
/// one, and no webSocketUrl, because such a session has this socket and no other.
fn capabilities(entry: &LiveSession) -> CapabilitySet {
    let mut capabilities = entry.capabilities.clone();
    capabilities.remove("webSocketUrl");
    let is_empty = |value: &Value| value.as_object().is_none_or(Map::is_empty);
    for name in ["proxy", "unhandledPromptBehavior"] {
        if capabilities.get(name).is_some_and(is_empty) {
            capabilities.remove(name);
        }
    }
    capabilities
}
