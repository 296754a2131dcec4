//! WebSockets without a session, on which BiDi's session.new creates one.

use std::{future::pending, io, sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use http::{HeaderValue, StatusCode};
use hyper::upgrade::OnUpgrade;
use net::{
    activity::Phase,
    frames, handshake,
    places::Place,
    tunnel::{Endpoint, UpgradedIo, wait_for_close},
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, timeout},
};
use tokio_tungstenite::tungstenite::{handshake::derive_accept_key, protocol::CloseFrame};
use warp::{Reply, reply::Response};
use webdriver::{
    bidi::{self, Command},
    error::WebDriverError,
};

use super::{
    message_reader::{NO_STATUS, Reader, Received, Violation, pong_frame, text_frame},
    new_session::{Created, create},
};
use crate::{
    auth::Credential,
    front::bounded_json,
    metrics::{Front, Outcome},
    state::Gateway,
    traffic::{self, REPLICA_CLOSING, SMALL_BACKLOG, TunnelEnd},
};

/// How long a client may take to read what is sent to it.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a socket may be silent.
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);
/// How often a client gets a ping while it only waits.
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// How long a large message may take to come.
const LARGE_TIMEOUT: Duration = Duration::from_secs(30);
/// How many messages a socket may send before it has a session.
const MAX_MESSAGES: usize = 1024;
const AWAY: u16 = 1001;
const POLICY: u16 = 1008;
/// The Close frame's code "Try Again Later" (IANA's registry of RFC 6455, section 7.4.1).
const TRY_AGAIN: u16 = 1013;

/// Answers a handshake, and serves the socket in a task of its own. Anybody may ask for the status; what needs more is for who has
/// credentials.
pub fn accept(
    gateway: Arc<Gateway>,
    credential: Credential,
    key: &HeaderValue,
    upgrade: OnUpgrade,
) -> Response {
    let Ok(accept) = HeaderValue::from_str(&derive_accept_key(key.as_bytes())) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let Ok(place) = gateway.bare_sockets.acquire_socket(credential.origin) else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let tasks = gateway.tasks.clone();
    tasks.spawn(async move {
        let _guard = gateway.metrics.tunnel();
        match Endpoint::upgraded(upgrade).await {
            Ok(client) => BareSocket::new(&gateway, credential, client, place).serve().await,
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "no socket came of it");
            }
        }
    });
    handshake::accepted(accept)
}

struct BareSocket<'a> {
    gateway: &'a Gateway,
    credential: Credential,
    io: UpgradedIo,
    reader: Reader,
    creation: Creation<'a>,
    last_message: Instant,
    /// How many messages it may still send.
    messages_left: usize,
    /// Its share of [`BareSocketLimits`](crate::traffic::BareSocketLimits).
    place: Place,
    /// While it may hold a large message.
    large: Option<Large>,
}

struct Large {
    place: Place,
    /// Until when the message must be whole.
    deadline: Instant,
}

type Outcomes = Result<Created, WebDriverError>;

/// The session.new of a socket, with its command's id.
enum Creation<'a> {
    None,
    Running(u64, BoxFuture<'a, Outcomes>),
    /// The client is amid a message, which the socket must have read whole before it becomes a tunnel.
    Done(u64, Box<Outcomes>),
}

/// What becomes of the socket.
enum Next {
    /// It stays bare.
    Stay,
    /// It becomes a session's: the agent's end of the tunnel, and what closes the tunnel.
    Tunnel(OnUpgrade, TunnelEnd),
    /// It is closed.
    Close,
}

/// What a socket waits for.
enum Event {
    Read(io::Result<usize>),
    Created(Box<Outcomes>),
    Silence,
    /// A large message does not come whole.
    Late,
    /// Another needs the socket's place, or that of its large message.
    Crowded,
    PingDue,
    Stopping,
}

impl<'a> BareSocket<'a> {
    fn new(gateway: &'a Gateway, credential: Credential, client: Endpoint, place: Place) -> Self {
        let Endpoint { io, read } = client;
        Self {
            gateway,
            credential,
            io,
            reader: Reader::new(read),
            creation: Creation::None,
            last_message: Instant::now(),
            messages_left: MAX_MESSAGES,
            place,
            large: None,
        }
    }

    async fn serve(mut self) {
        loop {
            if self.reader.held() <= SMALL_BACKLOG {
                self.large = None;
            }
            let next = match self.reader.next() {
                Ok(Some(received)) => {
                    self.last_message = Instant::now();
                    self.handle(received).await
                }
                Ok(None) if self.may_answer() => self.answer_creation().await,
                Ok(None) => {
                    let event = self.wait().await;
                    self.handle_event(event).await
                }
                Err(Violation(code)) => self.close(code, "").await,
            };
            match next {
                Next::Stay => {}
                // Dropping a creation ends the session that it has created.
                Next::Close => return,
                Next::Tunnel(agent, end) => {
                    drop((self.place, self.large));
                    let client = Endpoint { io: self.io, read: self.reader.buffer.freeze() };
                    traffic::tunnel_from(client, agent, end).await;
                    return;
                }
            }
        }
    }

    async fn wait(&mut self) -> Event {
        let Self { gateway, io, reader, creation, last_message, place, large, .. } = self;
        let is_running = matches!(creation, Creation::Running(..));
        let phase = if is_running { Phase::Serving } else { Phase::Waiting };
        if place.activity.phase() != phase {
            place.activity.set(phase);
        }
        let large = large.as_ref();
        let late = async {
            match large {
                Some(large) => tokio::time::sleep_until(large.deadline).await,
                None => pending().await,
            }
        };
        let crowded = async {
            match large {
                Some(large) => tokio::select! {
                    () = place.close.cancelled() => {}
                    () = large.place.close.cancelled() => {}
                },
                None => place.close.cancelled().await,
            }
        };
        let created = async {
            match creation {
                Creation::Running(_, creating) => creating.await,
                Creation::None | Creation::Done(..) => pending().await,
            }
        };
        tokio::select! {
            read = io.read_buf(&mut reader.buffer) => Event::Read(read),
            outcome = created => Event::Created(Box::new(outcome)),
            () = tokio::time::sleep_until(*last_message + IDLE_TIMEOUT), if !is_running => {
                Event::Silence
            }
            () = late => Event::Late,
            () = crowded => Event::Crowded,
            () = tokio::time::sleep(PING_INTERVAL) => Event::PingDue,
            () = gateway.stop.cancelled(), if !is_running => Event::Stopping,
        }
    }

    async fn handle_event(&mut self, event: Event) -> Next {
        match event {
            Event::Read(Ok(n)) if n > 0 => self.check_backlog().await,
            Event::Read(_) => Next::Close,
            Event::Created(outcome) => {
                if let Creation::Running(id, _) = self.creation {
                    self.creation = Creation::Done(id, outcome);
                }
                Next::Stay
            }
            Event::Silence => self.close(AWAY, "no message for too long").await,
            Event::Late => self.close(POLICY, "a large message did not come in time").await,
            Event::Crowded => self.close(TRY_AGAIN, "too many sockets at a time").await,
            Event::PingDue => self.send(frames::ping()).await,
            Event::Stopping => self.close(AWAY, REPLICA_CLOSING).await,
        }
    }

    /// A large message is for clients that may make sessions, and for so many at a time.
    async fn check_backlog(&mut self) -> Next {
        if self.reader.held() <= SMALL_BACKLOG || self.large.is_some() {
            return Next::Stay;
        }
        if let Err(error) = self.gateway.authorizer.authenticate(self.credential.clone()).await {
            tracing::debug!(%error, "a large message of nobody");
            return self.close(POLICY, "a message of more than 16 KiB needs credentials").await;
        }
        let Ok(place) = self.gateway.bare_sockets.acquire_large(self.credential.origin) else {
            return self.close(TRY_AGAIN, "too many large messages at a time").await;
        };
        self.large = Some(Large { place, deadline: Instant::now() + LARGE_TIMEOUT });
        Next::Stay
    }

    /// Sends bytes to a client that may be gone.
    async fn send(&mut self, bytes: Vec<u8>) -> Next {
        let writing = async {
            self.io.write_all(&bytes).await?;
            self.io.flush().await
        };
        match timeout(WRITE_TIMEOUT, writing).await {
            Ok(Ok(())) => Next::Stay,
            Ok(Err(error)) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "socket broke");
                Next::Close
            }
            Err(_) => {
                tracing::debug!("the client does not read");
                Next::Close
            }
        }
    }

    async fn fail(&mut self, id: Option<u64>, error: &WebDriverError) -> Next {
        self.send(text_frame(bidi::failure(id, error))).await
    }

    /// Sends a Close frame, and waits for the client's.
    async fn close(&mut self, code: u16, reason: &str) -> Next {
        self.send(close_frame(code, reason)).await;
        wait_for_close(&mut self.io).await;
        Next::Close
    }

    async fn handle(&mut self, received: Received) -> Next {
        if matches!(received, Received::Text(_) | Received::Binary) {
            let Some(left) = self.messages_left.checked_sub(1) else {
                return self.close(POLICY, "too many messages without a session").await;
            };
            self.messages_left = left;
        }
        let text = match received {
            Received::Text(text) => text,
            Received::Binary => return self.send(text_frame(bidi::not_text())).await,
            Received::Ping(payload) => return self.send(pong_frame(payload)).await,
            Received::Close(code) => {
                // The same code goes back; without one there is none (RFC 6455, section 5.5.1).
                let code = if code == NO_STATUS { 1000 } else { code };
                self.send(close_frame(code, "")).await;
                return Next::Close;
            }
        };
        // What is no JSON is for BiDi's own words.
        let bounds = match bounded_json::check(text.as_bytes()) {
            Ok(()) | Err(bounded_json::Error::Malformed(_)) => Ok(()),
            Err(error) => Err(error),
        };
        match (bidi::parse(&text), bounds) {
            (bidi::ClientMessage::Invalid { id, error }, _) => self.fail(id, &error).await,
            (bidi::ClientMessage::Command(command), Err(error)) => {
                let error = WebDriverError::invalid_argument(error.to_string());
                self.fail(Some(command.id), &error).await
            }
            (bidi::ClientMessage::Command(command), Ok(())) => self.run(&command).await,
        }
    }

    /// Static commands are answered at once, whether a session.new is running or not: each runs for itself (BiDi, "handle an incoming
    /// message").
    async fn run(&mut self, command: &Command<'_>) -> Next {
        match command.method.as_str() {
            "session.status" => {
                let (ready, message) = self.gateway.status();
                let status = json!({"ready": ready, "message": message});
                self.send(text_frame(bidi::success(command.id, &status))).await
            }
            "session.new" if !matches!(self.creation, Creation::None) => {
                let message = "a session.new is running on this socket, which has one session";
                let error = WebDriverError::session_not_created(message);
                self.fail(Some(command.id), &error).await
            }
            "session.new" => {
                let creating = create(self.gateway, self.credential.clone(), command.params());
                let mut creating = creating.boxed();
                // What fails at once is told before later commands are read.
                self.creation = match (&mut creating).now_or_never() {
                    Some(outcome) => Creation::Done(command.id, Box::new(outcome)),
                    None => Creation::Running(command.id, creating),
                };
                if self.may_answer() { self.answer_creation().await } else { Next::Stay }
            }
            // Not a static command, and there is no session.
            _ => self.fail(Some(command.id), &WebDriverError::invalid_session_id()).await,
        }
    }

    fn may_answer(&self) -> bool {
        matches!(self.creation, Creation::Done(..)) && !self.reader.is_amid_message()
    }

    async fn answer_creation(&mut self) -> Next {
        let Creation::Done(id, outcome) = std::mem::replace(&mut self.creation, Creation::None)
        else {
            return Next::Stay;
        };
        let counted = if outcome.is_ok() { Outcome::Created } else { Outcome::Refused };
        self.gateway.metrics.requested(Front::Bidi, counted);
        match *outcome {
            Ok(Created { result, agent, end }) => {
                match self.send(text_frame(bidi::success(id, &result))).await {
                    Next::Stay => Next::Tunnel(agent, end),
                    other => other,
                }
            }
            Err(error) => self.fail(Some(id), &error).await,
        }
    }
}

fn close_frame(code: u16, reason: &str) -> Vec<u8> {
    frames::close(&CloseFrame { code: code.into(), reason: reason.into() })
}
