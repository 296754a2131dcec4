//! What every WebSocket of a client is held to, whatever is said on it: how large a message may be, how long it may take, and
//! how it is closed.

mod outbox;

use std::time::Duration;

use futures::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Message,
        error::ProtocolError,
        protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode},
    },
};

use crds::Reason;

pub use outbox::{Outbox, Queued, outbox};

/// The largest message that passes, either way.
pub const MAX_MESSAGE: usize = 256 << 20;
/// How often a socket on which nothing is sent gets a ping.
pub const PING: Duration = Duration::from_secs(30);
/// How many pings a client may leave unanswered.
pub const MAX_UNANSWERED: u32 = 2;

/// How much is read and written at a time: most messages are short, and most sockets idle.
const BUFFER: usize = 16 << 10;
/// How long a client may take to read one message.
const READ: Duration = Duration::from_secs(60);
/// How long a Close frame may take to leave, and to be answered.
pub const CLOSE: Duration = Duration::from_secs(1);

/// Why a client is cut off for which too much waits.
pub const NOT_READ: &str = "messages were not read in time";

/// A socket to a client.
pub type Socket = WebSocketStream<TokioIo<Upgraded>>;
/// The way to it.
pub type Sink = SplitSink<Socket, Message>;
/// The way from it.
pub type Source = SplitStream<Socket>;

/// The limits of every socket, a client's or a browser's.
pub fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE))
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
}

/// The client's socket, when its handshake has been answered; `None` where it is gone already.
pub async fn accept(upgrade: OnUpgrade) -> Option<Socket> {
    match upgrade.await {
        Ok(upgraded) => {
            let stream = TokioIo::new(upgraded);
            Some(WebSocketStream::from_raw_socket(stream, Role::Server, Some(config())).await)
        }
        Err(error) => {
            tracing::debug!(error = &error as &dyn std::error::Error, "no socket came of it");
            None
        }
    }
}

/// The Close frame's code for a client that broke the protocol (RFC 6455, section 7.4.1); `None` where it is merely gone.
pub fn violation(error: &Error) -> Option<CloseCode> {
    match error {
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => None,
        Error::Protocol(_) => Some(CloseCode::Protocol),
        Error::Utf8(_) => Some(CloseCode::Invalid),
        Error::Capacity(_) => Some(CloseCode::Size),
        _ => None,
    }
}

/// Sends one message to a client that has to read it in time. Gives whether it did.
pub async fn send(to_client: &mut Sink, message: Message) -> bool {
    match timeout(READ, to_client.send(message)).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::debug!(%error, "socket broke");
            false
        }
        Err(_) => {
            tracing::debug!("the client does not read");
            false
        }
    }
}

/// Says goodbye to a client, behind its last messages. One that does not read gets neither. An agent that was only told to
/// stop does not know why: it says nothing, and the gateway says what the cluster knows.
pub async fn close(to_client: &mut Sink, last: Vec<Message>, code: CloseCode, reason: &str) {
    let frame = CloseFrame { code, reason: reason.into() };
    let closing = async {
        for message in last {
            to_client.feed(message).await?;
        }
        if reason == Reason::PodDeleted.as_str() {
            return to_client.flush().await;
        }
        to_client.send(Message::Close(Some(frame))).await?;
        to_client.close().await
    };
    match timeout(CLOSE, closing).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "Close did not leave"),
        Err(_) => tracing::debug!("Close did not leave in time"),
    }
}

/// Reads what a client that has been told goodbye still says: a connection that is closed before it is read may take the
/// Close frame with it.
pub async fn hear_out(from_client: &mut Source) {
    let rest = async { while let Some(Ok(_)) = from_client.next().await {} };
    if timeout(CLOSE, rest).await.is_err() {
        tracing::debug!("the client does not answer a Close frame");
    }
}
