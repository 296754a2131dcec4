//! The task that owns the socket to the browser.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use serde_json::json;
use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{self, Message, Utf8Bytes},
};
use tokio_util::task::TaskTracker;
use webdriver::{
    bidi::{Outgoing, failure},
    error::{ErrorCode, WebDriverError},
};

use super::ids::{ClientId, Pending};
use crate::{
    driver::Endpoint,
    ending::Ending,
    session::{Command, life::Life},
    socket::{MAX_MESSAGE, Outbox, PING},
};

/// What clients have told and the hub has not looked at.
const TOLD_QUEUED: usize = 64;
/// The most KiB of commands that wait for the browser to take them, over all clients; who has more waits.
const MAX_KIB: u32 = (MAX_MESSAGE >> 10) as u32;
/// The asker of what the hub itself asks.
const HUB: ClientId = ClientId::MAX;

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
        /// Whether it closes a window.
        closes: bool,
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
        let upstream = browser.open().await?;
        let (told, inbox) = mpsc::channel(TOLD_QUEUED);
        tasks.spawn(run(upstream, inbox, life, ending));
        Ok(Self { told, room: Arc::new(Semaphore::new(MAX_KIB as usize)) })
    }

    /// Has a client's command sent to the browser, when there is room for it.
    pub async fn ask(&self, client: ClientId, id: u64, message: Utf8Bytes, closes: bool) {
        let kib = u32::try_from(message.len() >> 10).unwrap_or(MAX_KIB).saturating_add(1);
        let room = self.room.clone().acquire_many_owned(kib.min(MAX_KIB)).await.ok();
        self.tell(ToHub::Command { client, id, message, closes, room }).await;
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
    let mut talk = Talk::new(life.clone());
    let stop = ending.begun();
    let mut ping = interval(PING);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let why = loop {
        let (message, room) = tokio::select! {
            () = stop.cancelled() => return,
            told = inbox.recv() => {
                let Some(told) = told else { return };
                match talk.take(told) {
                    Some((message, room)) => (Message::Text(message.into()), room),
                    None => continue,
                }
            }
            _ = ping.tick() => (Message::Ping(Bytes::new()), None),
            message = from_browser.next() => match message {
                Some(Ok(Message::Text(text))) => {
                    // What nobody hears is no use of the session.
                    if !talk.clients.is_empty() {
                        life.touch();
                    }
                    match talk.give(text) {
                        Some(question) => (Message::Text(question.into()), None),
                        None => continue,
                    }
                }
                // tungstenite answers pings by itself.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_) | Message::Binary(_))) => continue,
                Some(Ok(Message::Close(_))) | None => break "the browser closed its BiDi socket".to_owned(),
                Some(Err(error)) => break error.to_string(),
            },
        };
        ping.reset();
        if let Err(error) = to_browser.send(message).await {
            break error.to_string();
        }
        drop(room);
    };
    ending.browser_gone(&life, &why).await;
}

/// Who says what to whom.
struct Talk {
    clients: HashMap<ClientId, Outbox>,
    pending: Pending,
    life: Arc<Life>,
}

impl Talk {
    fn new(life: Arc<Life>) -> Self {
        Self { clients: HashMap::new(), pending: Pending::default(), life }
    }

    /// Takes what a client told; gives what is to be sent to the browser.
    fn take(&mut self, told: ToHub) -> Option<(String, Option<OwnedSemaphorePermit>)> {
        match told {
            ToHub::Join(client, messages) => {
                self.clients.insert(client, messages);
                None
            }
            ToHub::Leave(client) => {
                self.clients.remove(&client);
                let mut closing = self.life.closing();
                for id in self.pending.forget(client) {
                    closing.left(Command::Bidi(id), Instant::now());
                }
                None
            }
            ToHub::Command { client, id, message, closes, room } => {
                let Some(new) = self.pending.ask(client, id) else {
                    let text = "too many commands wait for the browser's answers";
                    let error = WebDriverError::new(ErrorCode::UnknownError, text);
                    self.put(client, failure(Some(id), &error).into());
                    return None;
                };
                if closes {
                    self.life.closing().asked(Command::Bidi(new), Instant::now());
                }
                Outgoing::parse(&message).map(|message| (message.with_id(new), room))
            }
        }
    }

    /// Gives what the browser said: an answer to its asker, an event to all. What the browser is to be asked then.
    fn give(&mut self, text: Utf8Bytes) -> Option<String> {
        let Some(message) = Outgoing::parse(&text) else {
            tracing::warn!("the browser sent a message that is no JSON object");
            return None;
        };
        let Some(new) = message.id() else {
            self.clients.retain(|_, outbox| outbox.put(text.clone()));
            return None;
        };
        if let Some((client, id)) = self.pending.answer(new) {
            self.put(client, message.with_id(id).into());
        }
        let asks = self.life.closing().answered(new, &text, Instant::now());
        asks.then(|| self.what_is_left()).flatten()
    }

    /// The question which windows are left.
    fn what_is_left(&mut self) -> Option<String> {
        let id = self.pending.ask(HUB, 0)?;
        self.life.closing().questioned(id);
        let question =
            json!({"method": "browsingContext.getTree", "params": {"maxDepth": 0}, "id": id});
        Some(question.to_string())
    }

    /// Queues a message for one client. One that does not read in time is cut off.
    fn put(&mut self, client: ClientId, message: Utf8Bytes) {
        if self.clients.get(&client).is_some_and(|outbox| !outbox.put(message)) {
            self.clients.remove(&client);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{bidi::ids::MAX_PENDING, socket::outbox};

    fn talk() -> Talk {
        Talk::new(Arc::new(Life::begin(Instant::now())))
    }

    fn command(client: ClientId, id: u64, closes: bool) -> ToHub {
        let message = format!(r#"{{"id":{id},"method":"a.b","params":{{}}}}"#).into();
        ToHub::Command { client, id, message, closes, room: None }
    }

    #[tokio::test]
    async fn answers_go_to_the_asker_and_events_to_all() {
        let mut talk = talk();
        let (one, mut to_one) = outbox();
        let (other, mut to_other) = outbox();
        talk.take(ToHub::Join(1, one));
        talk.take(ToHub::Join(2, other));
        let sent = talk.take(command(2, 9, false)).map(|(message, _)| message);
        assert_eq!(sent.as_deref(), Some(r#"{"id":1,"method":"a.b","params":{}}"#));

        talk.give(r#"{"type":"event","method":"log"}"#.into());
        talk.give(r#"{"type":"success","id":1,"result":{}}"#.into());
        drop(talk);

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
        let mut talk = talk();
        let (slow, mut unread) = outbox();
        talk.take(ToHub::Join(1, slow));
        let event = format!(r#"{{"type":"event","text":"{}"}}"#, "x".repeat(40 << 20));
        for _ in 0..2 {
            talk.give(event.clone().into());
        }
        assert!(talk.clients.is_empty());
        assert!(unread.next().await.is_some() && unread.next().await.is_none());
    }

    #[tokio::test]
    async fn a_client_that_asks_without_end_is_told_so() {
        let mut talk = talk();
        let (one, mut to_one) = outbox();
        talk.take(ToHub::Join(1, one));
        for id in 0..MAX_PENDING as u64 {
            assert!(talk.take(command(1, id, false)).is_some());
        }
        assert!(talk.take(command(1, 7, false)).is_none());
        let told = to_one.next().await.unwrap();
        assert!(told.contains(r#""id":7"#) && told.contains("too many"), "{told}");
    }

    #[tokio::test]
    async fn a_window_that_is_closed_by_one_that_left_is_asked_about_all_the_same() {
        let mut talk = talk();
        talk.take(ToHub::Join(1, outbox().0));
        talk.take(command(1, 8, false));
        talk.take(ToHub::Leave(1));
        assert!(!talk.life.closing().is_the_last(Instant::now()));
        talk.take(ToHub::Join(2, outbox().0));
        talk.take(command(2, 9, true));
        talk.take(ToHub::Leave(2));
        assert!(talk.life.closing().is_the_last(Instant::now()));
        let question = talk.give(r#"{"type":"success","id":2,"result":{}}"#.into());
        assert!(question.is_some_and(|question| question.contains("getTree")));
        let rest = r#"{"type":"success","id":3,"result":{"contexts":[{"context":"a"}]}}"#;
        assert_eq!(talk.give(rest.into()), None);
        assert!(!talk.life.closing().is_the_last(Instant::now()));
    }

    #[tokio::test]
    async fn what_is_left_after_a_window_is_asked_for_and_told_to_nobody() {
        let mut talk = talk();
        let (one, mut to_one) = outbox();
        talk.take(ToHub::Join(1, one));
        talk.take(command(1, 9, true));
        let question = talk.give(r#"{"type":"success","id":1,"result":{}}"#.into()).unwrap();
        assert!(question.contains(r#""id":2"#) && question.contains("getTree"), "{question}");
        let rest = r#"{"type":"success","id":2,"result":{"contexts":[{"context":"a"}]}}"#;
        assert_eq!(talk.give(rest.into()), None);
        assert!(!talk.life.closing().is_the_last(Instant::now()));
        drop(talk);
        assert!(to_one.next().await.unwrap().contains(r#""id":9"#));
        assert_eq!(to_one.next().await, None);
    }
}
