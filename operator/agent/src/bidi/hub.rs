//! The task that owns the socket to the browser.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{self, Message, Utf8Bytes},
};
use tokio_util::task::TaskTracker;
use wire::{
    bidi::{Outgoing, failure},
    bind::EndReason,
    error::{ErrorCode, WebDriverError},
};

use super::{
    MAX_MESSAGE,
    ids::{ClientId, Pending},
    outbox::Outbox,
    socket_config,
};
use crate::{driver::Endpoint, ending::Ending, session::life::Life};

/// What clients have told and the hub has not looked at.
const TOLD_QUEUED: usize = 64;
/// The most KiB of commands that wait for the browser to take them, over all clients; who has more waits.
const MAX_KIB: u32 = (MAX_MESSAGE >> 10) as u32;
/// How often a browser to which nothing is sent gets a ping.
const PING: Duration = Duration::from_secs(30);

/// What clients tell the hub.
pub enum ToHub {
    /// A socket was opened; its messages go there.
    Join(ClientId, Outbox),
    /// A command for the browser, to be sent on under another id.
    Command {
        /// The asker.
        client: ClientId,
        /// The asker's id of it.
        id: u64,
        /// The message, which is given its new id when that is known.
        message: Utf8Bytes,
        /// Its room, until the browser has taken it.
        room: Option<OwnedSemaphorePermit>,
    },
    /// A socket is gone.
    Leave(ClientId),
}

/// The way to the hub.
#[derive(Clone, Debug)]
pub struct Hub {
    told: mpsc::Sender<ToHub>,
    room: Arc<Semaphore>,
}

impl Hub {
    /// Connects to the browser.
    ///
    /// # Errors
    /// The driver refuses the socket.
    pub async fn connect(
        browser: &Endpoint,
        life: Arc<Life>,
        ending: Ending,
        tasks: &TaskTracker,
    ) -> Result<Self, tungstenite::Error> {
        let stream = browser.connect().await.map_err(tungstenite::Error::Io)?;
        let url = format!("ws://{}{}", browser.authority(), browser.path);
        let (upstream, _) = client_async_with_config(url, stream, Some(socket_config())).await?;
        let (told, inbox) = mpsc::channel(TOLD_QUEUED);
        tasks.spawn(run(upstream, inbox, life, ending));
        Ok(Self { told, room: Arc::new(Semaphore::new(MAX_KIB as usize)) })
    }

    /// Has a client's command sent to the browser, when there is room for it.
    pub async fn ask(&self, client: ClientId, id: u64, message: Utf8Bytes) {
        let kib = u32::try_from(message.len() >> 10).unwrap_or(MAX_KIB).saturating_add(1);
        let room = self.room.clone().acquire_many_owned(kib.min(MAX_KIB)).await.ok();
        self.tell(ToHub::Command { client, id, message, room }).await;
    }

    /// Tells the hub; what comes after its end is lost with the session.
    pub async fn tell(&self, what: ToHub) {
        if self.told.send(what).await.is_err() {
            tracing::debug!("the hub has ended");
        }
    }
}

async fn run(
    upstream: WebSocketStream<TcpStream>,
    mut inbox: mpsc::Receiver<ToHub>,
    life: Arc<Life>,
    ending: Ending,
) {
    let (mut to_browser, mut from_browser) = upstream.split();
    let mut clients = HashMap::new();
    let mut pending = Pending::default();
    let stop = ending.begun();
    let mut ping = interval(PING);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let message = tokio::select! {
            () = stop.cancelled() => return,
            told = inbox.recv() => {
                let Some(told) = told else { return };
                ping.reset();
                match take(told, &mut clients, &mut pending) {
                    Some((message, room)) => (Message::Text(message.into()), room),
                    None => continue,
                }
            }
            _ = ping.tick() => (Message::Ping(Bytes::new()), None),
            message = from_browser.next() => match message {
                Some(Ok(Message::Text(text))) => {
                    // What nobody hears is no use of the session.
                    if !clients.is_empty() {
                        life.touch();
                    }
                    give(text, &mut clients, &mut pending);
                    continue;
                }
                // tungstenite answers pings by itself.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_) | Message::Binary(_))) => continue,
                Some(Ok(Message::Close(_))) | None => {
                    lost(&ending, &life, "the browser closed its BiDi socket").await;
                    return;
                }
                Some(Err(error)) => {
                    lost(&ending, &life, &error.to_string()).await;
                    return;
                }
            },
        };
        let (message, room) = message;
        if let Err(error) = to_browser.send(message).await {
            lost(&ending, &life, &error.to_string()).await;
            return;
        }
        drop(room);
    }
}

/// How long a command that is running may take to say that it ended the browser.
const SAY_SO: Duration = Duration::from_secs(1);

/// The browser hung up. A command that is running may have ended it, as closing the last window does; then its answer is on the
/// way, and says why.
async fn lost(ending: &Ending, life: &Life, why: &str) {
    if life.usage().running > 0 && timeout(SAY_SO, ending.wait()).await.is_ok() {
        return;
    }
    ending.begin(EndReason::BrowserCrashed.as_str(), format!("the browser is gone: {why}"));
}

/// Takes what a client told; gives what is to be sent to the browser.
fn take(
    told: ToHub,
    clients: &mut HashMap<ClientId, Outbox>,
    pending: &mut Pending,
) -> Option<(String, Option<OwnedSemaphorePermit>)> {
    match told {
        ToHub::Join(client, messages) => {
            clients.insert(client, messages);
            None
        }
        ToHub::Leave(client) => {
            clients.remove(&client);
            pending.forget(client);
            None
        }
        ToHub::Command { client, id, message, room } => {
            let Some(new) = pending.ask(client, id) else {
                let text = "too many commands wait for the browser's answers";
                let error = WebDriverError::new(ErrorCode::UnknownError, text);
                put(clients, client, failure(Some(id), &error).into());
                return None;
            };
            Outgoing::parse(&message).map(|message| (message.with_id(new), room))
        }
    }
}

/// Gives what the browser said: an answer to its asker, an event to all.
fn give(text: Utf8Bytes, clients: &mut HashMap<ClientId, Outbox>, pending: &mut Pending) {
    let Some(message) = Outgoing::parse(&text) else {
        tracing::warn!("the browser sent a message that is no JSON object");
        return;
    };
    let Some(id) = message.id() else {
        clients.retain(|_, outbox| outbox.put(text.clone()));
        return;
    };
    if let Some((client, id)) = pending.answer(id) {
        put(clients, client, message.with_id(id).into());
    }
}

/// Queues a message for one client. One that does not read in time is cut off.
fn put(clients: &mut HashMap<ClientId, Outbox>, client: ClientId, message: Utf8Bytes) {
    if clients.get(&client).is_some_and(|outbox| !outbox.put(message)) {
        clients.remove(&client);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bidi::{ids::MAX_PENDING, outbox::outbox};

    fn command(client: ClientId, id: u64) -> ToHub {
        let message = format!(r#"{{"id":{id},"method":"a.b","params":{{}}}}"#).into();
        ToHub::Command { client, id, message, room: None }
    }

    #[tokio::test]
    async fn answers_go_to_the_asker_and_events_to_all() {
        let (mut clients, mut pending) = (HashMap::new(), Pending::default());
        let (one, mut to_one) = outbox();
        let (other, mut to_other) = outbox();
        take(ToHub::Join(1, one), &mut clients, &mut pending);
        take(ToHub::Join(2, other), &mut clients, &mut pending);
        let sent = take(command(2, 9), &mut clients, &mut pending).map(|(message, _)| message);
        assert_eq!(sent.as_deref(), Some(r#"{"id":1,"method":"a.b","params":{}}"#));

        give(r#"{"type":"event","method":"log"}"#.into(), &mut clients, &mut pending);
        give(r#"{"type":"success","id":1,"result":{}}"#.into(), &mut clients, &mut pending);
        drop(clients);

        for (heard, expected) in [
            (to_one.next().await, Some(r#"{"type":"event","method":"log"}"#)),
            (to_one.next().await, None),
            (to_other.next().await, Some(r#"{"type":"event","method":"log"}"#)),
            (to_other.next().await, Some(r#"{"id":9,"type":"success","result":{}}"#)),
            (to_other.next().await, None),
        ] {
            assert_eq!(heard.as_deref(), expected);
        }
    }

    #[tokio::test]
    async fn a_client_that_reads_nothing_is_cut_off() {
        let (mut clients, mut pending) = (HashMap::new(), Pending::default());
        let (slow, mut unread) = outbox();
        take(ToHub::Join(1, slow), &mut clients, &mut pending);
        let event = format!(r#"{{"type":"event","text":"{}"}}"#, "x".repeat(40 << 20));
        for _ in 0..2 {
            give(event.clone().into(), &mut clients, &mut pending);
        }
        assert!(clients.is_empty());
        assert!(unread.next().await.is_some() && unread.next().await.is_none());
    }

    #[tokio::test]
    async fn a_client_that_asks_without_end_is_told_so() {
        let (mut clients, mut pending) = (HashMap::new(), Pending::default());
        let (one, mut to_one) = outbox();
        take(ToHub::Join(1, one), &mut clients, &mut pending);
        for id in 0..MAX_PENDING as u64 {
            assert!(take(command(1, id), &mut clients, &mut pending).is_some());
        }
        assert!(take(command(1, 7), &mut clients, &mut pending).is_none());
        let told = to_one.next().await.unwrap();
        assert!(told.contains(r#""id":7"#) && told.contains("too many"), "{told}");
    }
}
