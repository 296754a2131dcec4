//! The task that owns the socket to the browser.

use std::{collections::HashMap, sync::Arc};

use futures::{SinkExt, StreamExt};
use tokio::{net::TcpStream, sync::mpsc};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{self, Message, Utf8Bytes},
};
use tokio_util::task::TaskTracker;
use wire::{bidi::Outgoing, bind::EndReason};

use super::{
    ids::{ClientId, Pending},
    socket_config,
};
use crate::{driver::Endpoint, ending::Ending, session::life::Life};

/// Commands that wait for the browser to take them, over all clients.
const COMMANDS_QUEUED: usize = 64;
/// Messages that wait for one client to take them. A client that falls behind further is cut off, so that it
/// neither holds up the others nor fills the memory.
pub const MESSAGES_QUEUED: usize = 4096;

/// What clients tell the hub.
pub enum ToHub {
    /// A socket was opened; its messages go there.
    Join(ClientId, mpsc::Sender<Utf8Bytes>),
    /// A command for the browser, to be sent on under another id.
    Command {
        /// The asker.
        client: ClientId,
        /// The asker's id of it.
        id: u64,
        /// The message, which is given its new id when that is known.
        message: Utf8Bytes,
    },
    /// A socket is gone.
    Leave(ClientId),
}

/// The way to the hub.
#[derive(Clone, Debug)]
pub struct Hub(mpsc::Sender<ToHub>);

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
        let (hub, inbox) = mpsc::channel(COMMANDS_QUEUED);
        tasks.spawn(run(upstream, inbox, life, ending));
        Ok(Self(hub))
    }

    /// Tells the hub; what comes after its end is lost with the session.
    pub async fn tell(&self, what: ToHub) {
        if self.0.send(what).await.is_err() {
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
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            told = inbox.recv() => {
                let Some(told) = told else { return };
                if let Some(message) = take(told, &mut clients, &mut pending)
                    && let Err(error) = to_browser.send(Message::Text(message.into())).await
                {
                    lost(&ending, &error.to_string());
                    return;
                }
            }
            message = from_browser.next() => match message {
                Some(Ok(Message::Text(text))) => {
                    // What nobody hears is no use of the session.
                    if !clients.is_empty() {
                        life.touch();
                    }
                    give(text, &mut clients, &mut pending);
                }
                // tungstenite answers pings by itself.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_) | Message::Binary(_))) => {}
                Some(Ok(Message::Close(_))) | None => {
                    lost(&ending, "the browser closed its BiDi socket");
                    return;
                }
                Some(Err(error)) => {
                    lost(&ending, &error.to_string());
                    return;
                }
            },
        }
    }
}

fn lost(ending: &Ending, why: &str) {
    ending.begin(EndReason::BrowserCrashed.as_str(), format!("the browser is gone: {why}"));
}

/// Takes what a client told; gives what is to be sent to the browser.
fn take(
    told: ToHub,
    clients: &mut HashMap<ClientId, mpsc::Sender<Utf8Bytes>>,
    pending: &mut Pending,
) -> Option<String> {
    match told {
        ToHub::Join(client, messages) => {
            clients.insert(client, messages);
            None
        }
        ToHub::Leave(client) => {
            clients.remove(&client);
            None
        }
        ToHub::Command { client, id, message } => {
            let id = pending.ask(client, id);
            Outgoing::parse(&message).map(|message| message.with_id(id))
        }
    }
}

/// Gives what the browser said: an answer to its asker, an event to all.
fn give(
    text: Utf8Bytes,
    clients: &mut HashMap<ClientId, mpsc::Sender<Utf8Bytes>>,
    pending: &mut Pending,
) {
    let Some(message) = Outgoing::parse(&text) else {
        tracing::warn!("the browser sent a message that is no JSON object");
        return;
    };
    let Some(id) = message.id() else {
        clients.retain(|_, messages| messages.try_send(text.clone()).is_ok());
        return;
    };
    let Some((client, id)) = pending.answer(id) else { return };
    if let Some(messages) = clients.get(&client)
        && messages.try_send(message.with_id(id).into()).is_err()
    {
        clients.remove(&client);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_go_to_the_asker_and_events_to_all() {
        let (mut clients, mut pending) = (HashMap::new(), Pending::default());
        let (one, mut to_one) = mpsc::channel(4);
        let (other, mut to_other) = mpsc::channel(4);
        take(ToHub::Join(1, one), &mut clients, &mut pending);
        take(ToHub::Join(2, other), &mut clients, &mut pending);
        let sent = take(
            ToHub::Command {
                client: 2,
                id: 9,
                message: r#"{"id":9,"method":"a.b","params":{}}"#.into(),
            },
            &mut clients,
            &mut pending,
        );
        assert_eq!(sent.as_deref(), Some(r#"{"id":1,"method":"a.b","params":{}}"#));

        give(r#"{"type":"event","method":"log"}"#.into(), &mut clients, &mut pending);
        give(r#"{"type":"success","id":1,"result":{}}"#.into(), &mut clients, &mut pending);

        assert_eq!(to_one.try_recv().unwrap().as_str(), r#"{"type":"event","method":"log"}"#);
        assert!(to_one.try_recv().is_err());
        assert_eq!(to_other.try_recv().unwrap().as_str(), r#"{"type":"event","method":"log"}"#);
        assert_eq!(
            to_other.try_recv().unwrap().as_str(),
            r#"{"id":9,"type":"success","result":{}}"#
        );
    }

    #[test]
    fn a_client_that_reads_nothing_is_cut_off() {
        let (mut clients, mut pending) = (HashMap::new(), Pending::default());
        let (slow, _unread) = mpsc::channel(1);
        take(ToHub::Join(1, slow), &mut clients, &mut pending);
        for _ in 0..2 {
            give(r#"{"type":"event"}"#.into(), &mut clients, &mut pending);
        }
        assert!(clients.is_empty());
    }
}
