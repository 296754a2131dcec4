//! The HTTP client of one pod's agent.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use agent_api::{paths::AGENT_PORT, pod_token::PodToken};
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy,
    rt::{TokioExecutor, TokioTimer},
};

use super::connector::Connector;
use crate::{Body, BoxError, body, tcp, transport::Dial};

/// How long an unused connection is kept. Shorter than the agent keeps it, so that no command is written to a connection
/// that is being closed.
const POOL_IDLE: Duration = Duration::from_secs(60);
/// How long the agent keeps it.
pub const AGENT_IDLE: Duration = Duration::from_secs(180);

/// Why an agent gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing listens there, or it hung up before an answer.
    #[error("the pod does not answer")]
    Unreachable(#[source] legacy::Error),
    /// The request's own body is at fault: the agent is not to blame.
    #[error(transparent)]
    Request(body::Error),
    /// The connection broke, or what came is not HTTP.
    #[error("the pod's answer broke off")]
    Broken(#[source] BoxError),
}

/// A client of one pod's agent, with a pool of connections.
#[derive(Clone, Debug)]
pub struct Agent<D: Dial = tcp::Dialer> {
    client: legacy::Client<Connector<D>, Body>,
}

impl Agent {
    /// The agent at a pod's address.
    #[must_use]
    pub fn new(ip: IpAddr, token: PodToken) -> Self {
        Self::over(tcp::Dialer(SocketAddr::new(ip, AGENT_PORT)), token)
    }

    /// The URI of a path (with its query) at this agent.
    ///
    /// # Errors
    /// A path that HTTP cannot carry.
    pub fn uri(path_and_query: &str) -> Result<Uri, http::Error> {
        Uri::builder().scheme("http").authority("agent").path_and_query(path_and_query).build()
    }
}

impl<D: Dial> Agent<D> {
    /// The agent behind connections of any transport.
    #[must_use]
    pub fn over(dialer: D, token: PodToken) -> Self {
        let client = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(POOL_IDLE)
            .build(Connector::new(dialer, token));
        Self { client }
    }

    /// Sends a request and gives its reply, whatever its status.
    ///
    /// # Errors
    /// [`Error::Unreachable`], or [`Error::Request`].
    pub async fn send(&self, request: Request<Body>) -> Result<Response<Incoming>, Error> {
        self.client.request(request).await.map_err(|error| match body::Error::within(&error) {
            Some(fault) => Error::Request(fault),
            None => Error::Unreachable(error),
        })
    }
}
