//! WebDriver BiDi: one socket to the browser, any number to clients.
//!
//! A browser's driver sends events only to the socket that subscribed, and some drivers take one socket only. So the
//! agent keeps the one upstream socket, rewrites command ids, gives answers to the asker and events to all.

mod client;
mod hub;
mod ids;
mod outbox;

use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

pub use client::serve;
pub use hub::Hub;

/// The largest message that passes, either way.
const MAX_MESSAGE: usize = 256 << 20;

/// How much is read and written at a time: most messages are short, and most sockets idle.
const BUFFER: usize = 16 << 10;

fn socket_config() -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE))
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
}
