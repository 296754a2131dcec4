//! The limits of every WebSocket, a client's or the browser's.

use std::time::Duration;

use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// The largest message that passes, either way.
pub const MAX_MESSAGE: usize = 256 << 20;
/// How often a socket on which nothing is sent gets a ping.
pub const PING_INTERVAL: Duration = Duration::from_secs(30);
/// How many pings a client may leave unanswered.
pub const MAX_UNANSWERED_PINGS: u32 = 2;
/// How much is read and written at a time: most messages are short, and most sockets idle.
const BUFFER: usize = 16 << 10;

pub fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE))
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
}
