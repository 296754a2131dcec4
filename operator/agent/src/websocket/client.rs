//! A client's WebSocket: accepted, written to in time, and closed.

use std::time::Duration;

use agent_api::end::close_code;
use crds::Reason;
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
        protocol::{CloseFrame, Role, frame::coding::CloseCode},
    },
};

use super::config::config;

/// How long a client may take to read one message.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a Close frame may take to leave, and to be answered.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// The Close frame's reason for a client that does not read.
pub const NOT_READ: &str = "messages were not read in time";

pub type ClientSocket = WebSocketStream<TokioIo<Upgraded>>;
pub type ClientSink = SplitSink<ClientSocket, Message>;
pub type ClientStream = SplitStream<ClientSocket>;

/// The client's socket, after its handshake was answered; `None` where it is gone already.
pub async fn accept(upgrade: OnUpgrade) -> Option<ClientSocket> {
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
pub fn close_code_of(error: &Error) -> Option<CloseCode> {
    match error {
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => None,
        Error::Protocol(_) => Some(CloseCode::Protocol),
        Error::Utf8(_) => Some(CloseCode::Invalid),
        Error::Capacity(_) => Some(CloseCode::Size),
        _ => None,
    }
}

/// Sends one message, which the client has to read in time. Returns whether it did.
pub async fn send(sink: &mut ClientSink, message: Message) -> bool {
    match timeout(READ_TIMEOUT, sink.send(message)).await {
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

/// The Close frame of a session's end. An agent that was merely told to stop does not know why: it sends none, and the
/// gateway sends one with what the cluster knows.
pub fn end_frame(reason: Reason) -> Option<CloseFrame> {
    let is_known = reason != Reason::PodDeleted;
    is_known.then(|| close_frame(close_code(reason).into(), reason.as_str()))
}

pub fn close_frame(code: CloseCode, reason: &str) -> CloseFrame {
    CloseFrame { code, reason: reason.into() }
}

/// Sends the last messages and a Close frame. A client that does not read gets neither.
pub async fn close(sink: &mut ClientSink, last: Vec<Message>, frame: Option<CloseFrame>) {
    let closing = async {
        for message in last {
            sink.feed(message).await?;
        }
        let Some(frame) = frame else { return sink.flush().await };
        sink.send(Message::Close(Some(frame))).await?;
        sink.close().await
    };
    match timeout(CLOSE_TIMEOUT, closing).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "Close did not leave"),
        Err(_) => tracing::debug!("Close did not leave in time"),
    }
}

/// Reads until the client has answered the Close frame: closing a TCP connection with unread input resets it, and the reset
/// may overtake the Close frame.
pub async fn read_until_closed(stream: &mut ClientStream) {
    let rest = async { while let Some(Ok(_)) = stream.next().await {} };
    if timeout(CLOSE_TIMEOUT, rest).await.is_err() {
        tracing::debug!("the client does not answer a Close frame");
    }
}
