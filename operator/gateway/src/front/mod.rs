//! The faces of the gateway: each parses into one internal request and renders one internal answer.

pub mod bidi;
mod classic;

use std::sync::Arc;

use http::{HeaderMap, StatusCode, header};
use runtime::http::{
    collect::drain,
    incoming::{Incoming, incoming},
    tunnel,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use warp::{Filter, Reply, reply::Response};
use wire::{
    error::{ErrorCode, WebDriverError},
    reply,
};

use crate::{
    caller::Callers,
    classes::{self, Classes},
    directory::{Directory, Entry},
    metrics::Metrics,
    proxy::Cuts,
    sessions::Sessions,
    urls::Configured,
};

/// What the fronts need.
pub struct Gateway {
    /// Who may have what.
    pub callers: Callers,
    /// Makes sessions.
    pub sessions: Sessions,
    /// Finds sessions.
    pub directory: Arc<Directory>,
    /// What browsers there are.
    pub classes: Arc<Classes>,
    /// The URLs that clients reach this by.
    pub urls: Configured,
    /// Web origins whose pages may ask; no other page may.
    pub allowed_origins: Vec<String>,
    /// What is counted.
    pub metrics: Metrics,
    /// What sockets without a session may take.
    pub bare: bidi::Limits,
    /// Owns every tunnel.
    pub tasks: TaskTracker,
    /// Cancelled when this replica takes no new sessions.
    pub stop: CancellationToken,
    /// Cancelled when it lets go of those that it carries.
    pub closing: CancellationToken,
}

impl Gateway {
    /// What ends a tunnel of this session.
    fn cuts(&self, entry: &Entry) -> Cuts {
        Cuts { over: entry.over.clone(), closing: self.closing.clone() }
    }

    /// Whether this replica makes sessions now, and in words: both protocols' status.
    fn status(&self) -> (bool, &'static str) {
        if self.stop.is_cancelled() {
            (false, "this replica is shutting down")
        } else if classes::any_has_room(&self.classes.all(), &self.directory.live()) {
            (true, "sessions can be created")
        } else {
            (false, "every BrowserClass is at its capacity; a session waits for its turn")
        }
    }

    /// Whether it may make one at all.
    ///
    /// # Errors
    /// It is shutting down.
    fn accepts(&self) -> Result<(), WebDriverError> {
        if self.stop.is_cancelled() {
            return Err(WebDriverError::session_not_created("this replica is shutting down"));
        }
        Ok(())
    }
}

/// Every route.
pub fn routes(
    gateway: Arc<Gateway>,
) -> impl Filter<Extract = (Response,), Error = warp::Rejection> + Clone {
    incoming().then(move |incoming: Incoming| {
        let gateway = gateway.clone();
        async move {
            if let Some(origin) = refused_origin(&incoming.headers, &gateway.allowed_origins) {
                drain(incoming.body).await;
                refuse_origin(&origin)
            } else if tunnel::wants_websocket(&incoming.method, &incoming.headers) {
                bidi::socket(gateway, incoming).await
            } else {
                classic::run(gateway, incoming).await
            }
        }
    })
}

/// The origin of a request that comes from a web page which may not ask. Client libraries send none; browsers always do,
/// and a page must not drive sessions because its reader can reach this gateway.
fn refused_origin(headers: &HeaderMap, allowed: &[String]) -> Option<String> {
    let origin = headers.get(header::ORIGIN)?;
    let origin = String::from_utf8_lossy(origin.as_bytes()).into_owned();
    (!allowed.contains(&origin)).then_some(origin)
}

fn refuse_origin(origin: &str) -> Response {
    let message =
        format!("Origin {origin:?} is not allowed here; see the gateway's allowedOrigins");
    let error = WebDriverError::new(ErrorCode::UnknownError, message);
    let mut response = reply::failure(&error).into_response();
    *response.status_mut() = StatusCode::FORBIDDEN;
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_web_page_is_refused_unless_its_origin_is_allowed() {
        let from =
            |origin| HeaderMap::from_iter([(header::ORIGIN, HeaderValue::from_static(origin))]);
        let allowed = ["https://tools.example".to_owned()];
        assert_eq!(refused_origin(&HeaderMap::new(), &allowed), None);
        assert_eq!(refused_origin(&from("https://tools.example"), &allowed), None);
        assert!(refused_origin(&from("https://evil.example"), &allowed).is_some());
        assert!(refused_origin(&from("null"), &[]).is_some());
    }
}
