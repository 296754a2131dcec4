//! The queue of messages to one client. It is bounded in bytes: a client that does not read must neither hold up the others
//! nor fill the memory.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

/// The most bytes that wait. A message that finds the queue empty always fits.
const MAX_BYTES: usize = 64 << 20;
/// What a message costs beside its text, in bytes.
const OVERHEAD: usize = 128;

/// The end of the queue that takes messages.
#[derive(Clone, Debug)]
pub struct Outbox {
    messages: UnboundedSender<Utf8Bytes>,
    waiting: Arc<AtomicUsize>,
}

/// The end of the queue that gives them to the client.
#[derive(Debug)]
pub struct OutboxReader {
    messages: UnboundedReceiver<Utf8Bytes>,
    waiting: Arc<AtomicUsize>,
}

pub fn outbox() -> (Outbox, OutboxReader) {
    let (send, receive) = mpsc::unbounded_channel();
    let waiting = Arc::new(AtomicUsize::new(0));
    (
        Outbox { messages: send, waiting: waiting.clone() },
        OutboxReader { messages: receive, waiting },
    )
}

impl Outbox {
    /// Queues a message. Returns whether there was room, and a client to take it.
    pub fn push(&self, message: Utf8Bytes) -> bool {
        let cost = message.len() + OVERHEAD;
        let before = self.waiting.fetch_add(cost, Ordering::Relaxed);
        (before == 0 || before + cost <= MAX_BYTES) && self.messages.send(message).is_ok()
    }
}

impl OutboxReader {
    /// The next message; `None`: the [`Outbox`] was dropped.
    pub async fn next(&mut self) -> Option<Utf8Bytes> {
        let message = self.messages.recv().await?;
        self.waiting.fetch_sub(message.len() + OVERHEAD, Ordering::Relaxed);
        Some(message)
    }

    /// The messages that wait now, to be sent before a Close frame.
    pub fn drain(&mut self) -> Vec<Message> {
        let mut rest = Vec::new();
        while let Ok(message) = self.messages.try_recv() {
            rest.push(Message::Text(message));
        }
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_client_may_fall_behind_by_so_many_bytes_and_one_message() {
        let (outbox, mut queued) = outbox();
        let large = Utf8Bytes::from("x".repeat(MAX_BYTES));
        assert!(outbox.push(large.clone()));
        assert!(!outbox.push("y".into()));
        assert_eq!(queued.next().await, Some(large));
        drop(outbox);
        assert_eq!(queued.next().await, None);
    }

    #[test]
    fn what_waits_at_the_end_is_not_lost() {
        let (outbox, mut queued) = outbox();
        assert!(outbox.push("a".into()) && outbox.push("b".into()));
        assert_eq!(queued.drain(), [Message::text("a"), Message::text("b")]);
        assert!(queued.drain().is_empty());
    }
}
