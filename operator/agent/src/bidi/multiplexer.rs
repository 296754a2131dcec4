//! The task that owns the socket to the browser, and the handle by which clients' sockets reach it.

use std::sync::Arc;

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use support::panics::essential;
use tokio::{
    sync::{Semaphore, mpsc},
    time::{MissedTickBehavior, interval},
};
use tokio_tungstenite::tungstenite::{self, Message, Utf8Bytes};
use tokio_util::task::TaskTracker;

use super::{
    pending_commands::ClientId,
    router::{ClientEvent, Effect, Router},
};
use crate::{
    driver::{BrowserSocket, Endpoint},
    end::{BrowserLoss, EndPolicy},
    websocket::{MAX_MESSAGE, Outbox, PING_INTERVAL},
};

/// How many messages of clients wait for the task.
const INBOX_SIZE: usize = 64;
/// The most KiB of commands that wait for the browser to take them, over all clients; who sends more waits.
const MAX_WAITING_KIB: u32 = (MAX_MESSAGE >> 10) as u32;

/// The handle of the task.
#[derive(Clone, Debug)]
pub struct Multiplexer {
    inbox: mpsc::Sender<ClientEvent>,
    /// One permit for each KiB of commands that wait.
    waiting: Arc<Semaphore>,
}

impl Multiplexer {
    /// Connects to the browser, and starts the task.
    pub async fn connect(
        browser: &Endpoint,
        router: Router,
        end_policy: EndPolicy,
        tasks: &TaskTracker,
    ) -> Result<Self, tungstenite::Error> {
        let browser = browser.open().await?;
        let (inbox, messages) = mpsc::channel(INBOX_SIZE);
        tasks.spawn(essential(run(browser, messages, router, end_policy)));
        Ok(Self { inbox, waiting: Arc::new(Semaphore::new(MAX_WAITING_KIB as usize)) })
    }

    /// A client has come; answers and events for it go to its outbox.
    pub async fn client_connected(&self, client: ClientId, outbox: Outbox) {
        self.send(ClientEvent::Connected(client, outbox)).await;
    }

    pub async fn client_disconnected(&self, client: ClientId) {
        self.send(ClientEvent::Disconnected(client)).await;
    }

    /// Has a client's command sent to the browser, when there is room for it.
    pub async fn send_command(
        &self,
        client: ClientId,
        id: u64,
        message: Utf8Bytes,
        effect: Effect,
    ) {
        let kib = u32::try_from(message.len() >> 10).unwrap_or(MAX_WAITING_KIB).saturating_add(1);
        let room = self.waiting.clone().acquire_many_owned(kib.min(MAX_WAITING_KIB)).await.ok();
        self.send(ClientEvent::Command { client, id, message, effect, room }).await;
    }

    /// What comes after the task's end is lost with the session.
    async fn send(&self, message: ClientEvent) {
        if self.inbox.send(message).await.is_err() {
            tracing::debug!("the BiDi multiplexer has ended");
        }
    }
}

async fn run(
    browser: BrowserSocket,
    mut inbox: mpsc::Receiver<ClientEvent>,
    mut router: Router,
    end_policy: EndPolicy,
) {
    let activity = router.activity().clone();
    let (mut to_browser, mut from_browser) = browser.split();
    let ended = end_policy.latch().token();
    let mut ping = interval(PING_INTERVAL);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let loss = loop {
        let (message, room) = tokio::select! {
            () = ended.cancelled() => return,
            message = inbox.recv() => {
                let Some(message) = message else { return };
                match router.on_client_event(message) {
                    Some((command, room)) => (Message::Text(command.into()), room),
                    None => continue,
                }
            }
            _ = ping.tick() => (Message::Ping(Bytes::new()), None),
            message = from_browser.next() => match message {
                Some(Ok(Message::Text(text))) => {
                    // Without clients, an event is no use of the session.
                    if router.has_clients() {
                        activity.touch();
                    }
                    match router.on_browser_message(text) {
                        Some(command) => (Message::Text(command.into()), None),
                        None => continue,
                    }
                }
                // tungstenite answers pings by itself.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_) | Message::Binary(_))) => continue,
                Some(Ok(Message::Close(_))) | None => break BrowserLoss::BidiClosed,
                Some(Err(error)) => break error.into(),
            },
        };
        ping.reset();
        if let Err(error) = to_browser.send(message).await {
            break error.into();
        }
        drop(room);
    };
    end_policy.browser_disconnected(&activity, &loss).await;
}
