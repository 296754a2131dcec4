//! A client's BiDi socket on a session that exists.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crds::Reason;
use futures::{SinkExt, StreamExt};
use hyper::upgrade::OnUpgrade;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes, protocol::frame::coding::CloseCode};
use webdriver::{
    bidi::{self, Command, Incoming},
    error::WebDriverError,
};

use super::{
    hub::{Hub, ToHub},
    ids::ClientId,
};
use crate::{
    dev_tools::command::{MAX_CARRIED, Meaning},
    ending::Ending,
    session::Session,
    socket::{self, CLOSE, MAX_UNANSWERED, PING, Socket, close, hear_out, outbox, send, violation},
};

static NEXT_CLIENT: AtomicU64 = AtomicU64::new(0);

/// Serves one socket from its handshake to its end.
pub async fn serve(upgrade: OnUpgrade, session: Arc<Session>, hub: Hub, ending: Ending) {
    let Some(socket) = socket::accept(upgrade).await else { return };
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
                let rest = queued.rest();
                close(&mut to_client, rest, ending.close_code().into(), last_word.reason.as_str()).await;
                hear_out(&mut from_client).await;
                return true;
            }
            message = queued.next() => match message {
                Some(message) => send(&mut to_client, Message::Text(message)).await,
                // The hub has ended with its session; the reason is said above.
                None if ending.has_begun() => continue,
                None => {
                    close(&mut to_client, Vec::new(), CloseCode::Again, socket::NOT_READ).await;
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
                    if let Ok(Err(error)) = timeout(CLOSE, to_client.flush()).await {
                        tracing::debug!(%error, "after Close");
                    }
                    return true;
                }
                Some(Err(error)) => {
                    tracing::debug!(%error, "socket broke");
                    if let Some(code) = violation(&error) {
                        close(&mut to_client, Vec::new(), code, "").await;
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

/// Whether a command may be the end of the browser: it closes a window, or has DevTools do so.
fn closes(command: &Command<'_>, length: usize) -> bool {
    match command.method.as_str() {
        "browsingContext.close" | "browser.removeUserContext" => true,
        "goog:cdp.sendCommand" if length <= MAX_CARRIED => {
            let params = command.params();
            let method = params.get("method").and_then(Value::as_str);
            method.is_some_and(|method| Meaning::of(method) != Meaning::Plain)
        }
        _ => false,
    }
}

/// Takes one message. Gives what the agent answers itself; the rest the browser answers.
async fn answer(text: Utf8Bytes, client: ClientId, hub: &Hub, ending: &Ending) -> Option<String> {
    let (id, closes) = match bidi::parse(&text) {
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
                ending.begin(Reason::ClientEnded, command.method.clone());
                return Some(bidi::success(command.id, &json!({})));
            }
            _ => (command.id, closes(&command, text.len())),
        },
    };
    hub.ask(client, id, text, closes).await;
    None
}
