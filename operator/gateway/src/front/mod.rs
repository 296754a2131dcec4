//! The faces of the gateway: each parses into one internal request and renders one internal answer.

mod bidi;
mod classic;

use std::sync::Arc;

use http::{HeaderMap, Method};
use hyper::upgrade::OnUpgrade;
use runtime::http::{Body, forward::streamed, tunnel};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use warp::{Filter, filters::path::FullPath, reply::Response};

use crate::{caller::Callers, directory::Directory, metrics::Metrics, sessions::Sessions};

/// What the fronts need.
pub struct Gateway {
    /// Who may have what.
    pub callers: Callers,
    /// Makes sessions.
    pub sessions: Sessions,
    /// Finds sessions.
    pub directory: Arc<Directory>,
    /// The URL that clients reach this by, where it is known.
    pub external_url: Option<String>,
    /// What is counted.
    pub metrics: Metrics,
    /// Owns every tunnel.
    pub tasks: TaskTracker,
    /// Cancelled when this replica takes no new sessions.
    pub stop: CancellationToken,
}

/// One request, with its body still to come.
pub struct Incoming {
    method: Method,
    path: String,
    query: String,
    headers: HeaderMap,
    upgrade: Option<OnUpgrade>,
    body: Body,
}

/// Every route. Which command a request is, is WebDriver's to say (`wire::route`), so warp only takes it apart.
pub fn routes(
    gateway: Arc<Gateway>,
) -> impl Filter<Extract = (Response,), Error = warp::Rejection> + Clone {
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    warp::method()
        .and(warp::path::full())
        .and(query)
        .and(warp::header::headers_cloned())
        .and(warp::ext::optional::<OnUpgrade>())
        .and(warp::body::stream())
        .map(|method, path: FullPath, query, headers, upgrade, body| Incoming {
            method,
            path: path.as_str().to_owned(),
            query,
            headers,
            upgrade,
            body: streamed(body),
        })
        .then(move |incoming: Incoming| {
            let gateway = gateway.clone();
            async move {
                if tunnel::wants_websocket(&incoming.headers) {
                    bidi::socket(gateway, incoming).await
                } else {
                    classic::run(gateway, incoming).await
                }
            }
        })
}
