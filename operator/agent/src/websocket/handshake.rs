//! The server's half of a WebSocket handshake (RFC 6455, section 4.2.2).

use http::{HeaderMap, HeaderValue};
use net::handshake::{self, Error};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// The Sec-WebSocket-Accept for a request.
pub fn accept_key(headers: &HeaderMap) -> Result<HeaderValue, Error> {
    let key = handshake::key(headers)?;
    HeaderValue::from_str(&derive_accept_key(key.as_bytes())).map_err(|_| Error::NoKey)
}
