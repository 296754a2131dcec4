//! URLs in answers, as the client that asks can reach them.

use http::HeaderName;

use super::{records::Record, request::Request};
use crate::{state::Gateway, urls};

/// The header with the signing key of one session, where it is not in the URL.
pub const SIGNING_KEY: HeaderName = HeaderName::from_static("x-bb-signing-key");

/// This gateway's URL for WebSockets: `ws://...` or `wss://...`.
pub fn websocket_base(gateway: &Gateway, request: &Request) -> String {
    urls::socket_base(&gateway.urls, None, &request.headers, request.peer)
}

/// The same, `http://...` or `https://...`.
pub fn http_base(gateway: &Gateway, request: &Request) -> String {
    websocket_base(gateway, request).replacen("ws", "http", 1)
}

/// A signing key that makes a URL a credential for this session, until the session expires.
pub fn signing_key(gateway: &Gateway, record: &Record) -> String {
    let uid = record.object.metadata.uid.as_deref().unwrap_or_default();
    gateway.directory.signing_key(uid, record.expires().as_second())
}
