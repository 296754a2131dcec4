//! WebSockets, whatever their protocol: how large a message may be, how long it may take, and how a socket closes.

mod client;
mod config;
mod handshake;
mod outbox;

pub use client::{
    CLOSE_TIMEOUT, ClientSink, ClientSocket, ClientStream, NOT_READ, accept, close, close_code_of,
    close_frame, end_frame, read_until_closed, send,
};
pub use config::{MAX_MESSAGE, MAX_UNANSWERED_PINGS, PING_INTERVAL, config};
pub use handshake::accept_key;
pub use outbox::{Outbox, OutboxReader, outbox};
