//! Taking a request apart. Which command it is, is WebDriver's to say (`webdriver::route`): warp's own routes would answer
//! 405 for 404.

use http::{HeaderMap, Method};
use hyper::upgrade::OnUpgrade;
use warp::{Filter, Rejection, filters::path::FullPath};

use crate::{Body, body::streamed, pace::paced, server::Connection};

/// One request, with its body still to come.
pub struct IncomingRequest {
    pub method: Method,
    /// Its path as it came, percent-encoding included.
    pub path: String,
    /// What follows the question mark; empty without one.
    pub query: String,
    pub headers: HeaderMap,
    pub connection: Connection,
    /// The connection after a switch of protocols, if the client asked for one.
    pub upgrade: Option<OnUpgrade>,
    pub body: Body,
}

impl IncomingRequest {
    /// A path with this request's query.
    #[must_use]
    pub fn target(&self, path: &str) -> String {
        if self.query.is_empty() { path.to_owned() } else { format!("{path}?{}", self.query) }
    }
}

/// A filter for any request of [`crate::server::serve`].
pub fn incoming_request() -> impl Filter<Extract = (IncomingRequest,), Error = Rejection> + Clone {
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    warp::method()
        .and(warp::path::full())
        .and(query)
        .and(warp::header::headers_cloned())
        .and(warp::ext::get::<Connection>())
        .and(warp::ext::optional::<OnUpgrade>())
        .and(warp::body::stream())
        .map(|method, path: FullPath, query, headers, connection, upgrade, body| IncomingRequest {
            method,
            path: path.as_str().to_owned(),
            query,
            headers,
            connection,
            upgrade,
            body: paced(streamed(body)),
        })
}
