//! WebSocket handshakes (RFC 6455, section 4), and carrying a socket's bytes without looking at them.

use http::{HeaderMap, HeaderValue, StatusCode, header};
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional_with_sizes};
use warp::{Reply, reply::Response};

/// How much is read ahead for a slow reader, each way.
const BUFFER: usize = 16 * 1024;

/// Whether a request with these headers asks for a WebSocket.
#[must_use]
pub fn wants_websocket(headers: &HeaderMap) -> bool {
    has_token(headers, header::UPGRADE, "websocket")
        && has_token(headers, header::CONNECTION, "upgrade")
}

/// The key of a handshake of version 13; what is wrong, for a client to read, where it is none.
///
/// # Errors
/// The header that is missing or wrong.
pub fn handshake_key(headers: &HeaderMap) -> Result<&HeaderValue, &'static str> {
    if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err("Sec-WebSocket-Version must be 13");
    }
    headers.get(header::SEC_WEBSOCKET_KEY).ok_or("Sec-WebSocket-Key is missing")
}

/// The answer 101 to a handshake; `accept` comes from its key.
#[must_use]
pub fn switching_protocols(accept: HeaderValue) -> Response {
    let mut reply = StatusCode::SWITCHING_PROTOCOLS.into_response();
    reply.headers_mut().extend([
        (header::CONNECTION, HeaderValue::from_static("upgrade")),
        (header::UPGRADE, HeaderValue::from_static("websocket")),
        (header::SEC_WEBSOCKET_ACCEPT, accept),
    ]);
    reply
}

/// Carries bytes both ways until both ends are done.
pub async fn join(
    mut one: impl AsyncRead + AsyncWrite + Unpin,
    mut other: impl AsyncRead + AsyncWrite + Unpin,
) {
    match copy_bidirectional_with_sizes(&mut one, &mut other, BUFFER, BUFFER).await {
        Ok((there, back)) => tracing::debug!(there, back, "tunnel closed"),
        Err(error) => {
            tracing::debug!(error = &error as &dyn std::error::Error, "tunnel broke");
        }
    }
}

fn has_token(headers: &HeaderMap, name: header::HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|value| value.trim().eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_websocket_is_asked_for_by_two_headers() {
        let mut headers = HeaderMap::new();
        headers.insert("upgrade", HeaderValue::from_static("WebSocket"));
        assert!(!wants_websocket(&headers));
        headers.insert("connection", HeaderValue::from_static("keep-alive, Upgrade"));
        assert!(wants_websocket(&headers));
        assert_eq!(handshake_key(&headers), Err("Sec-WebSocket-Version must be 13"));
    }
}
