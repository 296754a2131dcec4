//! The faces of the gateway: each parses into one internal request and renders one internal answer.

pub mod bidi;
mod browser_use;
mod browserbase;
mod cdp;
mod classic;
mod hosted;
mod openapi;
pub mod shown;

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use jiff::Timestamp;
use net::{
    body::drain,
    handshake,
    request::{Incoming, incoming},
};
use tokio::time::timeout;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use warp::{Filter, Reply, reply::Response};
use webdriver::{
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
    urls::{self, Configured},
};

/// How long the directory may take to say that a pod is gone: the kubelet looks every second, and a busy node takes several.
const SAY_SO: Duration = Duration::from_secs(10);

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
    /// Whether `/json/version` makes sessions.
    pub cdp_on_demand: bool,
    /// Web origins whose pages may ask; no other page may.
    pub allowed_origins: Vec<String>,
    /// What time it is.
    pub clock: fn() -> Timestamp,
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
    fn cuts(&self, entry: &Arc<Entry>) -> Cuts {
        Cuts { entry: entry.clone(), closing: self.closing.clone() }
    }

    /// Whether this replica makes sessions now, and in words: both protocols' status.
    fn status(&self) -> (bool, &'static str) {
        let live = self.directory.live();
        if self.stop.is_cancelled() {
            (false, "this replica is shutting down")
        } else if self.classes.all().iter().any(|class| classes::has_room(class, &live)) {
            (true, "sessions can be created")
        } else {
            (false, "every BrowserClass is at its capacity; a session waits for its turn")
        }
    }

    /// A pod that does not answer is most often gone, and the directory will say so, and why. `None`: it does not.
    async fn why_over(&self, entry: &Entry) -> Option<WebDriverError> {
        let over = timeout(SAY_SO, entry.over.cancelled());
        let over = self.closing.run_until_cancelled(over).await;
        over.is_some_and(|over| over.is_ok()).then(|| self.directory.why(&entry.session_id))
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
            // What a share shows may be reached from anywhere; it drives nothing.
            let refused = if shown::is_path(&incoming.path) {
                None
            } else {
                refused_origin(&incoming.headers, &gateway.allowed_origins)
            };
            if let Some(origin) = refused {
                drain(incoming.body).await;
                refuse_origin(&origin)
            } else if let Some(host) = rebound(&gateway, &incoming) {
                drain(incoming.body).await;
                refuse_host(&host)
            } else if handshake::wants_websocket(&incoming.method, &incoming.headers) {
                if cdp::is_path(&incoming.path) {
                    cdp::socket(gateway, incoming).await
                } else {
                    bidi::socket(gateway, incoming).await
                }
            } else {
                answer(gateway, incoming).await
            }
        }
    })
}

/// Each front has its own paths; what is nobody's is WebDriver's to refuse.
async fn answer(gateway: Arc<Gateway>, incoming: Incoming) -> Response {
    let path = incoming.path.as_str();
    if path.starts_with("/v1/") {
        browserbase::run(gateway, incoming).await
    } else if is_rest(path) {
        browser_use::run(gateway, incoming).await
    } else if cdp::is_path(path) {
        cdp::run(gateway, incoming).await
    } else if shown::is_path(path) {
        shown::run(gateway, incoming).await
    } else if browserbase::selenium::is_path(path) {
        browserbase::selenium::run(gateway, incoming).await
    } else if path == "/openapi.json" && incoming.method == Method::GET {
        drain(incoming.body).await;
        let json = HeaderValue::from_static("application/json");
        warp::reply::with_header(openapi::document(), header::CONTENT_TYPE, json).into_response()
    } else {
        classic::run(gateway, incoming).await
    }
}

/// The prefixes of the hosted APIs.
const REST: [&str; 4] = ["/v1/", "/api/v2/", "/api/v3/", "/api/v4/"];

fn is_rest(path: &str) -> bool {
    REST.iter().any(|prefix| path.starts_with(prefix))
}

/// The origin of a request that comes from a web page which may not ask. Client libraries send none; browsers always do,
/// and a page must not drive sessions because its reader can reach this gateway.
fn refused_origin(headers: &HeaderMap, allowed: &[String]) -> Option<String> {
    let Some(origin) = headers.get(header::ORIGIN) else {
        // A browser says of its reads, which carry no Origin, whether a page made them (Fetch Metadata).
        let site = headers.get("sec-fetch-site")?;
        return (site != "none" && site != "same-origin").then(|| {
            format!("none, Sec-Fetch-Site: {}", String::from_utf8_lossy(site.as_bytes()))
        });
    };
    let origin = String::from_utf8_lossy(origin.as_bytes()).into_owned();
    (!allowed.contains(&origin)).then_some(origin)
}

/// The Host of a request that may come from a web page whose name was made to lead here, after which the page is of this
/// origin and its reads carry none. Only where nobody needs to say who they are: such a page has no credentials.
fn rebound(gateway: &Gateway, incoming: &Incoming) -> Option<String> {
    let peer = incoming.connection.peer.ip();
    let reads = matches!(incoming.method, Method::GET | Method::HEAD);
    // WebDriver takes any Host, and tells nobody an id.
    let tells = is_rest(&incoming.path) || cdp::is_path(&incoming.path);
    if gateway.callers.anonymous.is_none() || !reads || !tells || gateway.urls.trusts(peer) {
        return None;
    }
    let host = incoming.headers.get(header::HOST)?.to_str().ok()?;
    (!urls::is_own_host(host, gateway.urls.external.as_deref())).then(|| host.to_owned())
}

fn refuse_host(host: &str) -> Response {
    let message = format!("Host {host:?} is not this gateway's: see its externalUrl");
    let error = WebDriverError::new(ErrorCode::UnknownError, message);
    let mut response = reply::failure(&error).into_response();
    *response.status_mut() = StatusCode::FORBIDDEN;
    response
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
