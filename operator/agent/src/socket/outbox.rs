//! What waits for one client to take it: bounded by its bytes, because a message may be large and one that is not read must
//! neither hold up the others nor fill the memory.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

/// The most bytes that wait. A message that finds none before it always fits.
const MAX_BYTES: usize = 64 << 20;
/// What a message costs beside its text.
const OVERHEAD: usize = 128;

/// The way to one client.
#[derive(Clone, Debug)]
pub struct Outbox {
    messages: UnboundedSender<Utf8Bytes>,
    waiting: Arc<AtomicUsize>,
}

/// The client's end.
#[derive(Debug)]
pub struct Queued {
    messages: UnboundedReceiver<Utf8Bytes>,
    waiting: Arc<AtomicUsize>,
}

/// A queue with nothing in it.
pub fn outbox() -> (Outbox, Queued) {
    let (send, receive) = mpsc::unbounded_channel();
    let waiting = Arc::new(AtomicUsize::new(0));
    (Outbox { messages: send, waiting: waiting.clone() }, Queued { messages: receive, waiting })
}

impl Outbox {
    /// Queues a message. Gives whether there was room, and a client to take it.
    pub fn put(&self, message: Utf8Bytes) -> bool {
        let cost = message.len() + OVERHEAD;
        let before = self.waiting.fetch_add(cost, Ordering::Relaxed);
        (before == 0 || before + cost <= MAX_BYTES) && self.messages.send(message).is_ok()
    }
}

impl Queued {
    /// The next message; `None`: the other end has given this client up.
    pub async fn next(&mut self) -> Option<Utf8Bytes> {
        let message = self.messages.recv().await?;
        self.waiting.fetch_sub(message.len() + OVERHEAD, Ordering::Relaxed);
        Some(message)
    }

    /// What waits now, for a client that is told goodbye.
    pub fn rest(&mut self) -> Vec<Message> {
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
        assert!(outbox.put(large.clone()));
        assert!(!outbox.put("y".into()));
        assert_eq!(queued.next().await, Some(large));
        drop(outbox);
        assert_eq!(queued.next().await, None);
    }

    #[test]
    fn what_waits_at_the_end_is_not_lost() {
        let (outbox, mut queued) = outbox();
        assert!(outbox.put("a".into()) && outbox.put("b".into()));
        assert_eq!(queued.rest(), [Message::text("a"), Message::text("b")]);
        assert!(queued.rest().is_empty());
    }
}
