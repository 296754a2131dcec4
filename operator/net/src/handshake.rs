//! WebSocket handshakes (RFC 6455, section 4), both ends.

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use warp::{Reply, reply::Response};

/// Why a handshake is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("Sec-WebSocket-Version must be 13")]
    Version,
    #[error("Sec-WebSocket-Key is missing")]
    NoKey,
}

/// Whether a request asks for a WebSocket: a GET with two headers (section 4.1).
#[must_use]
pub fn wants_websocket(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::GET
        && has_token(headers, header::UPGRADE, "websocket")
        && has_token(headers, header::CONNECTION, "upgrade")
}

/// The key of a handshake of version 13, which nobody but its sender reads. Section 4.1 wants 16 bytes in base64, but a client's
/// library is known that sends another word; the answer proves as much with it.
pub fn key(headers: &HeaderMap) -> Result<&HeaderValue, Error> {
    if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(Error::Version);
    }
    headers.get(header::SEC_WEBSOCKET_KEY).filter(|key| !key.is_empty()).ok_or(Error::NoKey)
}

/// Whether the sender of a key can be sent Ping and Close frames. A client that has no nonce for a key (go-rod says `nil`) takes
/// every frame for a message, and dies of one that is none; browsers' DevTools send neither.
#[must_use]
pub fn reads_control_frames(key: &HeaderValue) -> bool {
    STANDARD.decode(key.as_bytes()).is_ok_and(|nonce| nonce.len() == 16)
}

/// The answer 400, with the version that is understood (section 4.2.2, item 4).
#[must_use]
pub fn refused(error: Error) -> Response {
    let mut reply =
        warp::reply::with_status(error.to_string(), StatusCode::BAD_REQUEST).into_response();
    reply.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    reply
}

/// The answer 101; `accept` is derived from the request's key (section 4.2.2, item 5.4).
#[must_use]
pub fn accepted(accept: HeaderValue) -> Response {
    let mut reply = StatusCode::SWITCHING_PROTOCOLS.into_response();
    reply.headers_mut().extend([
        (header::CONNECTION, HeaderValue::from_static("upgrade")),
        (header::UPGRADE, HeaderValue::from_static("websocket")),
        (header::SEC_WEBSOCKET_ACCEPT, accept),
    ]);
    reply
}

#[must_use]
pub fn request_headers(key: HeaderValue) -> [(HeaderName, HeaderValue); 4] {
    [
        (header::CONNECTION, HeaderValue::from_static("upgrade")),
        (header::UPGRADE, HeaderValue::from_static("websocket")),
        (header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13")),
        (header::SEC_WEBSOCKET_KEY, key),
    ]
}

fn has_token(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
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
        assert!(!wants_websocket(&Method::GET, &headers));
        headers.insert("connection", HeaderValue::from_static("keep-alive, Upgrade"));
        assert!(wants_websocket(&Method::GET, &headers));
        assert!(!wants_websocket(&Method::POST, &headers));
        assert_eq!(key(&headers), Err(Error::Version));
        assert_eq!(Error::Version.to_string(), "Sec-WebSocket-Version must be 13");
        headers.insert("sec-websocket-version", HeaderValue::from_static("13"));
        for (text, is_one) in [("dGhlIHNhbXBsZSBub25jZQ==", true), ("nil", true), ("", false)] {
            headers.insert("sec-websocket-key", HeaderValue::from_static(text));
            assert_eq!(key(&headers).is_ok(), is_one, "{text}");
        }
        for (text, reads) in [
            ("dGhlIHNhbXBsZSBub25jZQ==", true),
            ("nil", false),
            ("bmls", false),
            ("dGhlIHNhbXBsZSBub25jZQ", false),
        ] {
            assert_eq!(reads_control_frames(&HeaderValue::from_static(text)), reads, "{text}");
        }
    }
}
