//! A client's BiDi socket on a session that exists.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::time::Instant;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Message, Utf8Bytes,
        error::ProtocolError,
        protocol::{CloseFrame, Role, frame::coding::CloseCode},
    },
};
use wire::{
    bidi::{self, Incoming},
    bind::EndReason,
    error::WebDriverError,
};

use super::{
    hub::{Hub, ToHub},
    ids::ClientId,
    outbox::outbox,
    socket_config,
};
use crate::{ending::Ending, session::Session};

/// How often a socket on which nothing is sent gets a ping.
const PING: Duration = Duration::from_secs(30);
/// How many pings a client may leave unanswered.
const MAX_UNANSWERED: u32 = 2;
/// How long a client may take to read one message.
const READ: Duration = Duration::from_secs(60);
/// How long a Close frame may take to leave.
const CLOSE: Duration = Duration::from_secs(1);

type Socket = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;
type Sink = SplitSink<Socket, Message>;
type Source = SplitStream<Socket>;

static NEXT_CLIENT: AtomicU64 = AtomicU64::new(0);

/// Serves one socket from its handshake to its end.
pub async fn serve(upgrade: OnUpgrade, session: Arc<Session>, hub: Hub, ending: Ending) {
    let stream = match upgrade.await {
        Ok(upgraded) => TokioIo::new(upgraded),
        Err(error) => {
            tracing::debug!(error = &error as &dyn std::error::Error, "no socket came of it");
            return;
        }
    };
    let socket =
        WebSocketStream::from_raw_socket(stream, Role::Server, Some(socket_config())).await;
    let client = NEXT_CLIENT.fetch_add(1, Ordering::Relaxed);
    session.life.socket_opened();
    let closed = attend(socket, client, &session, &hub, &ending).await;
    hub.tell(ToHub::Leave(client)).await;
    session.life.socket_gone(closed);
}

/// Carries messages both ways. Gives whether the client said goodbye.
async fn attend(
    socket: Socket,
    client: ClientId,
    session: &Session,
    hub: &Hub,
    ending: &Ending,
) -> bool {
    let (mut to_client, mut from_client) = socket.split();
    let (messages, mut queued) = outbox();
    hub.tell(ToHub::Join(client, messages)).await;
    let stop = ending.begun();
    let mut quiet_until = Instant::now() + PING;
    let mut unanswered = 0;
    loop {
        let sent = tokio::select! {
            () = stop.cancelled() => {
                let last_word = ending.wait().await;
                close(&mut to_client, ending.close_code().into(), &last_word.reason).await;
                hear_out(&mut from_client).await;
                return true;
            }
            message = queued.next() => match message {
                Some(message) => send(&mut to_client, Message::Text(message)).await,
                // The hub has ended with its session; the reason is said above.
                None if ending.has_begun() => continue,
                None => {
                    close(&mut to_client, CloseCode::Again, "messages were not read in time").await;
                    hear_out(&mut from_client).await;
                    return false;
                }
            },
            () = tokio::time::sleep_until(quiet_until) => {
                unanswered += 1;
                if unanswered > MAX_UNANSWERED {
                    tracing::debug!("the client answers no ping");
                    return false;
                }
                send(&mut to_client, Message::Ping(bytes::Bytes::new())).await
            }
            message = from_client.next() => {
                unanswered = 0;
                match message {
                Some(Ok(Message::Text(text))) => {
                    session.life.touch();
                    match answer(text, client, hub, ending).await {
                        Some(reply) => send(&mut to_client, Message::text(reply)).await,
                        None => continue,
                    }
                }
                Some(Ok(Message::Binary(_))) => {
                    session.life.touch();
                    send(&mut to_client, Message::text(bidi::not_text())).await
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
                Some(Ok(Message::Close(_))) => {
                    // tungstenite has queued the answer to the Close frame; this sends it.
                    if let Err(error) = to_client.flush().await {
                        tracing::debug!(%error, "after Close");
                    }
                    return true;
                }
                Some(Err(error)) => {
                    tracing::debug!(%error, "socket broke");
                    if let Some(code) = violation(&error) {
                        close(&mut to_client, code, "").await;
                        hear_out(&mut from_client).await;
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
        quiet_until = Instant::now() + PING;
    }
}

/// The Close frame's code for a client that broke the protocol (RFC 6455, section 7.4.1); `None` where it is merely gone.
fn violation(error: &Error) -> Option<CloseCode> {
    match error {
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => None,
        Error::Protocol(_) => Some(CloseCode::Protocol),
        Error::Utf8(_) => Some(CloseCode::Invalid),
        Error::Capacity(_) => Some(CloseCode::Size),
        _ => None,
    }
}

/// Takes one message. Gives what the agent answers itself; the rest the browser answers.
async fn answer(text: Utf8Bytes, client: ClientId, hub: &Hub, ending: &Ending) -> Option<String> {
    let id = match bidi::parse(&text) {
        Incoming::Invalid { id, error } => return Some(bidi::failure(id, &error)),
        Incoming::Command(command) => match command.method.as_str() {
            "session.status" => {
                let status = json!({"ready": false, "message": "this session is active"});
                return Some(bidi::success(command.id, &status));
            }
            "session.new" => {
                let error =
                    WebDriverError::session_not_created("this socket has a session already");
                return Some(bidi::failure(Some(command.id), &error));
            }
            // This task sends the answer before it looks at the end again, and then Close.
            "session.end" | "browser.close" => {
                ending.begin(EndReason::ClientEnded.as_str(), command.method.clone());
                return Some(bidi::success(command.id, &json!({})));
            }
            _ => command.id,
        },
    };
    hub.ask(client, id, text).await;
    None
}

/// Reads what a client that has been told goodbye still says: a connection that is closed before it is read may take the
/// Close frame with it.
async fn hear_out(from_client: &mut Source) {
    let rest = async { while let Some(Ok(_)) = from_client.next().await {} };
    if tokio::time::timeout(CLOSE, rest).await.is_err() {
        tracing::debug!("the client does not answer a Close frame");
    }
}

/// Sends one message to a client that has to read it in time. Gives whether it did.
async fn send(to_client: &mut Sink, message: Message) -> bool {
    match tokio::time::timeout(READ, to_client.send(message)).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::debug!(%error, "socket broke");
            false
        }
        Err(_) => {
            tracing::debug!("the client does not read");
            false
        }
    }
}

async fn close(to_client: &mut Sink, code: CloseCode, reason: &str) {
    let frame = CloseFrame { code, reason: reason.into() };
    let closing = async {
        to_client.send(Message::Close(Some(frame))).await?;
        to_client.close().await
    };
    match tokio::time::timeout(CLOSE, closing).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "Close did not leave"),
        Err(_) => tracing::debug!("Close did not leave in time"),
    }
}
