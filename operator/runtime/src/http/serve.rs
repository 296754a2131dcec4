//! Serving HTTP/1.1 from an accept loop of our own, because a connection has a state (whether it has proven itself)
//! and an end (tunnels outlive requests).

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::Service;
use warp::reply::Response;

use super::socket;

/// The most bytes of a request's headers, and of what is read ahead of a slow handler.
const MAX_BUFFER: usize = 64 * 1024;
/// The most headers of a request.
const MAX_HEADERS: usize = 128;
/// How long the accept loop rests when the process has no descriptor left.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// What a request knows of its connection: the extension of that type.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The other end.
    pub peer: SocketAddr,
    authenticated: Arc<AtomicBool>,
}

impl Connection {
    /// Whether the other end has proven itself on this connection.
    #[must_use]
    pub fn is_authenticated(&self) -> bool {
        self.authenticated.load(Ordering::Acquire)
    }

    /// Marks the connection as proven.
    pub fn authenticate(&self) {
        self.authenticated.store(true, Ordering::Release);
    }
}

/// Serves until `stop`, then lets requests that are running finish. `idle` is how long a connection may take until
/// the headers of a request are there, of the first or of the next. `tasks` owns every connection.
pub async fn serve<S>(
    listener: TcpListener,
    service: S,
    idle: Duration,
    stop: CancellationToken,
    tasks: TaskTracker,
) where
    S: Service<Request<Incoming>, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                tasks.spawn(connection(stream, peer, service.clone(), idle, stop.clone()));
            }
            // Out of descriptors, or a client that was gone at once: the next may do better.
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "not accepted");
                tokio::time::sleep(ACCEPT_REST).await;
            }
        }
    }
}

async fn connection<S>(
    stream: TcpStream,
    peer: SocketAddr,
    service: S,
    idle: Duration,
    stop: CancellationToken,
) where
    S: Service<Request<Incoming>, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    if let Err(error) = socket::prepare(&stream) {
        tracing::debug!(%peer, error = &error as &dyn std::error::Error, "socket options");
    }
    let state = Connection { peer, authenticated: Arc::default() };
    let handler = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(state.clone());
        service.clone().call(request)
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(idle)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_BUFFER)
        .serve_connection(TokioIo::new(stream), handler)
        .with_upgrades();
    let mut served = std::pin::pin!(served);
    let outcome = tokio::select! {
        outcome = served.as_mut() => outcome,
        () = stop.cancelled() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%peer, error = &error as &dyn std::error::Error, "connection ended");
    }
}
