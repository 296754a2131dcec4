//! A client's BiDi socket on a session that exists.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use crds::Reason;
use futures::{SinkExt, StreamExt};
use http::{HeaderMap, StatusCode};
use hyper::upgrade::OnUpgrade;
use net::handshake;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes, protocol::frame::coding::CloseCode};
use tokio_util::task::TaskTracker;
use warp::{Reply, reply::Response};
use webdriver::{
    bidi::{self, ClientMessage, Command},
    error::WebDriverError,
};

use super::{
    multiplexer::Multiplexer, navigations::Navigations, own_proxy, pending_commands::ClientId,
    router::Effect,
};
use crate::{
    dev_tools::{CommandEffect, MAX_WRAPPED_COMMAND},
    end::EndLatch,
    session::Session,
    websocket::{
        self, CLOSE_TIMEOUT, ClientSocket, MAX_UNANSWERED_PINGS, NOT_READ, PING_INTERVAL, close,
        close_code_of, close_frame, end_frame, outbox, read_until_closed, send,
    },
};

static NEXT_CLIENT: AtomicU64 = AtomicU64::new(0);

/// Answers a handshake, and serves the socket in a task. A session without BiDi answers as if there were no such service
/// (BiDi, section "Transport").
pub fn open(
    session: Arc<Session>,
    headers: &HeaderMap,
    upgrade: Option<OnUpgrade>,
    end: EndLatch,
    tasks: &TaskTracker,
) -> Response {
    let (Some(multiplexer), Some(upgrade)) = (session.bidi.clone(), upgrade) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    match websocket::accept_key(headers) {
        Ok(accept) => {
            tasks.spawn(serve(upgrade, session, multiplexer, end));
            handshake::accepted(accept)
        }
        Err(refusal) => handshake::refused(refusal),
    }
}

/// Serves one socket from its handshake to its end.
async fn serve(upgrade: OnUpgrade, session: Arc<Session>, multiplexer: Multiplexer, end: EndLatch) {
    let Some(socket) = websocket::accept(upgrade).await else { return };
    let client = NEXT_CLIENT.fetch_add(1, Ordering::Relaxed);
    session.activity.socket_opened();
    let clean = relay(socket, client, &session, &multiplexer, &end).await;
    multiplexer.client_disconnected(client).await;
    session.activity.socket_closed(clean);
}

/// Carries messages both ways. Returns whether the socket ended with a Close frame.
async fn relay(
    socket: ClientSocket,
    client: ClientId,
    session: &Session,
    multiplexer: &Multiplexer,
    end: &EndLatch,
) -> bool {
    let (mut to_client, mut from_client) = socket.split();
    let (outbox, mut queue) = outbox();
    multiplexer.client_connected(client, outbox).await;
    let ended = end.token();
    let mut next_ping = Instant::now() + PING_INTERVAL;
    let mut unanswered_pings = 0;
    loop {
        let sent = tokio::select! {
            () = ended.cancelled() => {
                let reason = end.wait().await.reason;
                let last = queue.drain();
                close(&mut to_client, last, end_frame(reason)).await;
                read_until_closed(&mut from_client).await;
                return true;
            }
            message = queue.next() => match message {
                Some(message) => send(&mut to_client, Message::Text(message)).await,
                // The multiplexer has ended with its session: the branch above closes the socket.
                None if end.is_set() => continue,
                None => {
                    let frame = close_frame(CloseCode::Again, NOT_READ);
                    close(&mut to_client, Vec::new(), Some(frame)).await;
                    read_until_closed(&mut from_client).await;
                    return false;
                }
            },
            () = sleep_until(next_ping) => {
                unanswered_pings += 1;
                if unanswered_pings > MAX_UNANSWERED_PINGS {
                    tracing::debug!("the client answers no ping");
                    return false;
                }
                send(&mut to_client, Message::Ping(Bytes::new())).await
            }
            message = from_client.next() => {
                unanswered_pings = 0;
                match message {
                Some(Ok(Message::Text(text))) => {
                    session.activity.touch();
                    match handle_command(text, client, multiplexer, end).await {
                        Some(reply) => send(&mut to_client, Message::text(reply)).await,
                        None => continue,
                    }
                }
                Some(Ok(Message::Binary(_))) => {
                    session.activity.touch();
                    send(&mut to_client, Message::text(bidi::not_text())).await
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
                Some(Ok(Message::Close(_))) => {
                    // tungstenite has queued the answer to the Close frame; this sends it.
                    if let Ok(Err(error)) = timeout(CLOSE_TIMEOUT, to_client.flush()).await {
                        tracing::debug!(%error, "after Close");
                    }
                    return true;
                }
                Some(Err(error)) => {
                    tracing::debug!(%error, "socket broke");
                    if let Some(code) = close_code_of(&error) {
                        close(&mut to_client, Vec::new(), Some(close_frame(code, ""))).await;
                        read_until_closed(&mut from_client).await;
                    }
                    return false;
                }
                None => return false,
                }
            }
        };
        if !sent {
            return false;
        }
        next_ping = Instant::now() + PING_INTERVAL;
    }
}

/// A command may end the browser where it closes a window, or has DevTools do so.
fn effect_of(command: &Command<'_>, length: usize) -> Effect {
    match command.method.as_str() {
        "browsingContext.close" | "browser.removeUserContext" => Effect::ClosesWindow,
        "goog:cdp.sendCommand" if length <= MAX_WRAPPED_COMMAND => {
            let params = command.params();
            let method = params.get("method").and_then(Value::as_str);
            match method.map(CommandEffect::of) {
                None | Some(CommandEffect::None) => Effect::None,
                Some(_) => Effect::ClosesWindow,
            }
        }
        method if Navigations::is_one(method) => Effect::Navigates,
        _ => Effect::None,
    }
}

/// Handles a client's message. Returns the agent's own answer; `None`: the browser answers.
async fn handle_command(
    text: Utf8Bytes,
    client: ClientId,
    multiplexer: &Multiplexer,
    end: &EndLatch,
) -> Option<String> {
    let (id, effect) = match bidi::parse(&text) {
        ClientMessage::Invalid { id, error } => return Some(bidi::failure(id, &error)),
        ClientMessage::Command(command) => match command.method.as_str() {
            "session.status" => {
                let status = json!({"ready": false, "message": "this session is active"});
                return Some(bidi::success(command.id, &status));
            }
            "session.new" => {
                let error =
                    WebDriverError::session_not_created("this socket has a session already");
                return Some(bidi::failure(Some(command.id), &error));
            }
            // The relay sends this answer before it sees the end, and then the Close frame.
            "session.end" | "browser.close" => {
                end.set(Reason::ClientEnded, command.method.clone());
                return Some(bidi::success(command.id, &json!({})));
            }
            _ => match own_proxy::error(&command, &text) {
                Some(error) => return Some(bidi::failure(Some(command.id), &error)),
                None => (command.id, effect_of(&command, text.len())),
            },
        },
    };
    multiplexer.send_command(client, id, text, effect).await;
    None
}
