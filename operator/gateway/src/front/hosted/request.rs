//! A request whose body is read only when a handler asks for it.

use std::net::IpAddr;

use bytes::Bytes;
use http::{HeaderMap, Method};
use net::{Body, body::drain, request::IncomingRequest};
use parking_lot::Mutex;

use super::problem::Problem;
use crate::{front::request_body, state::Gateway};

/// Bytes.
const MAX_BODY: usize = 256 << 10;

/// One request to a hosted service's API.
pub struct Request {
    pub method: Method,
    pub path: String,
    pub query: String,
    pub headers: HeaderMap,
    pub peer: IpAddr,
    body: Mutex<Option<Body>>,
}

impl Request {
    pub fn new(incoming: IncomingRequest) -> Self {
        let IncomingRequest { method, path, query, headers, connection, body, .. } = incoming;
        Self {
            method,
            path,
            query,
            headers,
            peer: connection.peer.ip(),
            body: Mutex::new(Some(body)),
        }
    }

    /// The whole body; a second call gives none. Handlers ask once the caller is authorized, so that a request that is refused
    /// anyway takes no memory.
    pub async fn body(&self, gateway: &Gateway) -> Result<Bytes, Problem> {
        let Some(body) = self.body.lock().take() else { return Ok(Bytes::new()) };
        let origin = gateway.origin(&self.headers, self.peer);
        let read = request_body::read(gateway, &self.headers, origin, body, MAX_BODY).await;
        read.map_err(|error| match error {
            request_body::Error::Busy => Problem::Unavailable(error.to_string()),
            request_body::Error::Body(error) if error.is_late() => Problem::Late(error.to_string()),
            request_body::Error::Body(error) => {
                Problem::invalid(&["body"], "value_error", error.to_string())
            }
        })
    }

    /// Reads and drops what no handler asked for, so that the connection can serve its next request.
    pub async fn drain(self) {
        if let Some(body) = self.body.into_inner() {
            drain(body).await;
        }
    }

    /// The first value of a query parameter.
    pub fn parameter(&self, name: &str) -> Option<String> {
        self.parameters(name).into_iter().next()
    }

    /// Every value of a query parameter that may be repeated.
    pub fn parameters(&self, name: &str) -> Vec<String> {
        url::form_urlencoded::parse(self.query.as_bytes())
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
            .collect()
    }
}
