//! Serving HTTP/1.1 from an accept loop of our own, because a connection has a state (whether it has proven itself)
//! and an end (tunnels outlive requests).

use std::{
    convert::Infallible,
    io,
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
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::Service;
use warp::reply::Response;

use crate::tcp;

/// The most bytes of a request's line and headers, and of what is read ahead of a slow handler.
const MAX_BUFFER: usize = 32 * 1024;
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

/// What a listener gives to those that connect.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long a connection may take until the headers of a request are there, of the first or of the next.
    pub idle: Duration,
    /// How many connections there may be at a time, without those that have become tunnels: more wait to be accepted.
    /// Each may hold 32 KiB and no more.
    pub connections: usize,
}

/// Serves until `stop`, then lets requests that are running finish. `tasks` owns every connection.
pub async fn serve<S>(
    listener: TcpListener,
    service: S,
    limits: Limits,
    stop: CancellationToken,
    tasks: TaskTracker,
) where
    S: Service<Request<Incoming>, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let places = Arc::new(Semaphore::new(limits.connections));
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok((place, stream, peer)) => {
                let served = connection(stream, peer, service.clone(), limits.idle, stop.clone());
                tasks.spawn(async move {
                    served.await;
                    drop(place);
                });
            }
            // Out of descriptors, or a client that was gone at once: the next may do better.
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "not accepted");
                tokio::time::sleep(ACCEPT_REST).await;
            }
        }
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(OwnedSemaphorePermit, TcpStream, SocketAddr)> {
    let place = places.clone().acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((place, stream, peer))
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
    if let Err(error) = tcp::prepare(&stream) {
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
