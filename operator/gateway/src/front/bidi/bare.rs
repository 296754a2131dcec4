//! WebSockets without a session, on which BiDi's session.new creates one.

use std::{sync::Arc, time::Duration};

use futures::FutureExt;
use http::{HeaderValue, StatusCode};
use hyper::upgrade::OnUpgrade;
use net::{
    frames, handshake,
    tunnel::{Endpoint, UpgradedIo, wait_for_close},
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::OwnedSemaphorePermit,
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
/// The Close frame's code "Try Again Later" (IANA's registry of RFC 6455, section 7.4.1).
const TRY_AGAIN: u16 = 1013;

/// Answers a handshake, and serves the socket in a task of its own.
pub fn accept(
    gateway: Arc<Gateway>,
    credential: Credential,
    key: &HeaderValue,
    upgrade: OnUpgrade,
) -> Response {
    let Ok(accept) = HeaderValue::from_str(&derive_accept_key(key.as_bytes())) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let Some(permit) = gateway.bare_sockets.acquire_socket() else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let tasks = gateway.tasks.clone();
    tasks.spawn(async move {
        let _guard = gateway.metrics.tunnel();
        match Endpoint::upgraded(upgrade).await {
            Ok(client) => BareSocket::new(&gateway, credential, client, permit).serve().await,
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
    /// Its share of [`BareSocketLimits`](crate::traffic::BareSocketLimits).
    permit: OwnedSemaphorePermit,
    /// While it may hold a large message.
    large: Option<OwnedSemaphorePermit>,
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

impl<'a> BareSocket<'a> {
    fn new(
        gateway: &'a Gateway,
        credential: Credential,
        client: Endpoint,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        let Endpoint { io, read } = client;
        Self { gateway, credential, io, reader: Reader::new(read), permit, large: None }
    }

    async fn serve(mut self) {
        let stop = self.gateway.stop.clone();
        let mut last_message = Instant::now();
        loop {
            if self.reader.held() <= SMALL_BACKLOG {
                self.large = None;
            }
            let next = match self.reader.next() {
                Ok(Some(received)) => {
                    last_message = Instant::now();
                    self.handle(received).await
                }
                Ok(None) => tokio::select! {
                    next = self.read() => next,
                    () = tokio::time::sleep_until(last_message + IDLE_TIMEOUT) => {
                        self.close(1001, "no message for too long").await
                    }
                    () = tokio::time::sleep(PING_INTERVAL) => self.send(frames::ping()).await,
                    () = stop.cancelled() => self.close(1001, REPLICA_CLOSING).await,
                },
                Err(Violation(code)) => self.close(code, "").await,
            };
            match next {
                Next::Stay => {}
                Next::Close => return,
                Next::Tunnel(agent, end) => {
                    drop((self.permit, self.large));
                    let client = Endpoint { io: self.io, read: self.reader.buffer.freeze() };
                    traffic::tunnel_from(client, agent, end).await;
                    return;
                }
            }
        }
    }

    async fn read(&mut self) -> Next {
        match self.io.read_buf(&mut self.reader.buffer).await {
            Ok(n) if n > 0 => {}
            Ok(_) | Err(_) => return Next::Close,
        }
        if self.reader.held() > SMALL_BACKLOG && self.large.is_none() {
            self.large = self.gateway.bare_sockets.acquire_large();
            if self.large.is_none() {
                return self.close(TRY_AGAIN, "too many large messages at a time").await;
            }
        }
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

    /// Sends a Close frame, and waits for the client's.
    async fn close(&mut self, code: u16, reason: &str) -> Next {
        self.send(close_frame(code, reason)).await;
        wait_for_close(&mut self.io).await;
        Next::Close
    }

    async fn handle(&mut self, received: Received) -> Next {
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
        let command = match bidi::parse(&text) {
            bidi::ClientMessage::Invalid { id, error } => {
                return self.send(text_frame(bidi::failure(id, &error))).await;
            }
            bidi::ClientMessage::Command(command) => command,
        };
        match command.method.as_str() {
            "session.status" => {
                let (ready, message) = self.gateway.status();
                let status = json!({"ready": ready, "message": message});
                self.send(text_frame(bidi::success(command.id, &status))).await
            }
            "session.new" => self.new_session(&command).await,
            // Not a static command, and there is no session (BiDi, "handle an incoming message").
            _ => {
                let error = WebDriverError::invalid_session_id();
                self.send(text_frame(bidi::failure(Some(command.id), &error))).await
            }
        }
    }

    async fn new_session(&mut self, command: &Command<'_>) -> Next {
        let Self { gateway, credential, io, reader, .. } = self;
        let creating = create(gateway, credential.clone(), command.params());
        let outcome = tokio::select! {
            outcome = creating => outcome,
            // Dropping the creation ends the session that it has created.
            () = client_gone(io, reader) => return Next::Close,
        };
        let counted = if outcome.is_ok() { Outcome::Created } else { Outcome::Refused };
        self.gateway.metrics.requested(Front::Bidi, counted);
        match outcome {
            Ok(Created { result, agent, end }) => {
                match self.send(text_frame(bidi::success(command.id, &result))).await {
                    Next::Stay => Next::Tunnel(agent, end),
                    other => other,
                }
            }
            Err(error) => self.send(text_frame(bidi::failure(Some(command.id), &error))).await,
        }
    }
}

fn close_frame(code: u16, reason: &str) -> Vec<u8> {
    frames::close(&CloseFrame { code: code.into(), reason: reason.into() })
}

/// Reads ahead, at most [`SMALL_BACKLOG`] bytes, until the client is gone. Meanwhile it is pinged.
async fn client_gone(io: &mut UpgradedIo, reader: &mut Reader) {
    loop {
        let more = reader.buffer.len() < SMALL_BACKLOG;
        tokio::select! {
            read = io.read_buf(&mut reader.buffer), if more => match read {
                Ok(n) if n > 0 => {}
                Ok(_) | Err(_) => return,
            },
            () = tokio::time::sleep(PING_INTERVAL) => {
                // Whole or not at all: this may be dropped at any time, and another frame follows.
                let ping = frames::ping();
                match io.write(&ping).now_or_never() {
                    Some(Ok(written)) if written == ping.len() => {}
                    None => {}
                    Some(Ok(_) | Err(_)) => return,
                }
            }
        }
    }
}
