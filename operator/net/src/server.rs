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
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::{net::Listener, sync::CancellationToken, task::TaskTracker};
use tower::Service;
use warp::reply::Response;

use crate::transport::Io;

/// The most bytes of a request's line and headers, and of what is read ahead of a slow handler.
const MAX_BUFFER: usize = 32 * 1024;
const MAX_HEADERS: usize = 128;
/// How long the accept loop rests when the process has no descriptor left.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// A request's connection, as an extension of the request.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The client's address.
    pub peer: SocketAddr,
    authenticated: Arc<AtomicBool>,
}

impl Connection {
    /// Whether the other end has proven itself on this connection.
    #[must_use]
    pub fn is_authenticated(&self) -> bool {
        self.authenticated.load(Ordering::Acquire)
    }

    pub fn authenticate(&self) {
        self.authenticated.store(true, Ordering::Release);
    }
}

/// What a listener grants its clients.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long a connection may take until the headers of a request are there, of the first or of the next.
    pub idle: Duration,
    /// How many connections there may be at a time, without those that have become tunnels: more wait to be accepted.
    /// Each may hold 32 KiB and no more.
    pub connections: usize,
}

/// Serves until `stop`, then lets requests that are running finish. `tasks` owns every connection.
pub async fn serve<L, S>(
    mut listener: L,
    service: S,
    limits: Limits,
    stop: CancellationToken,
    tasks: TaskTracker,
) where
    L: Listener<Io: Io, Addr = SocketAddr>,
    S: Service<Request<Incoming>, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let places = Arc::new(Semaphore::new(limits.connections));
    loop {
        let accepted = tokio::select! {
            accepted = accept(&mut listener, &places) => accepted,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok((place, io, peer)) => {
                let served = connection(io, peer, service.clone(), limits.idle, stop.clone());
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

async fn accept<L: Listener>(
    listener: &mut L,
    places: &Arc<Semaphore>,
) -> io::Result<(OwnedSemaphorePermit, L::Io, L::Addr)> {
    let place = places.clone().acquire_owned().await.map_err(io::Error::other)?;
    let (io, peer) = listener.accept().await?;
    Ok((place, io, peer))
}

async fn connection<S>(
    io: impl Io,
    peer: SocketAddr,
    service: S,
    idle: Duration,
    stop: CancellationToken,
) where
    S: Service<Request<Incoming>, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
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
        .serve_connection(TokioIo::new(io), handler)
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::{Context, Poll};

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
        sync::mpsc,
    };
    use warp::{Filter, Reply};

    /// Accepts pipes.
    struct Pipes(mpsc::Receiver<DuplexStream>);

    impl Listener for Pipes {
        type Io = DuplexStream;
        type Addr = SocketAddr;

        fn poll_accept(
            &mut self,
            cx: &mut Context<'_>,
        ) -> Poll<io::Result<(DuplexStream, SocketAddr)>> {
            self.0.poll_recv(cx).map(|pipe| Ok((pipe.unwrap(), self.local_addr()?)))
        }

        fn local_addr(&self) -> io::Result<SocketAddr> {
            Ok(SocketAddr::from(([192, 0, 2, 1], 1)))
        }
    }

    #[tokio::test]
    async fn requests_are_served_over_any_transport() {
        let (connect, accept) = mpsc::channel(1);
        let routes = warp::ext::get::<Connection>()
            .map(|connection: Connection| connection.peer.to_string().into_response());
        let limits = Limits { idle: Duration::from_secs(60), connections: 1 };
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let service = warp::service(routes);
        let serving = serve(Pipes(accept), service, limits, stop.clone(), tasks.clone());
        let serving = tokio::spawn(serving);
        let (mut client, server) = tokio::io::duplex(64);
        connect.send(server).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut reply = String::new();
        client.read_to_string(&mut reply).await.unwrap();
        assert!(reply.starts_with("HTTP/1.1 200 OK\r\n"), "{reply}");
        assert!(reply.ends_with("192.0.2.1:1"), "{reply}");
        stop.cancel();
        serving.await.unwrap();
        tasks.close();
        tasks.wait().await;
    }
}
