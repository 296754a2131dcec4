//! Serving HTTP/1.1 from an accept loop of our own, because a connection has a state (whether it has proven itself), a place
//! that another may need, and an end (tunnels outlive requests).

mod answering;
mod watched;

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::{HeaderName, HeaderValue, Request, StatusCode, header};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time::{sleep, timeout};
use tokio_util::{net::Listener, sync::CancellationToken, task::TaskTracker};
use tower::Service;
use warp::reply::Response;

use self::{
    answering::{answer, has_large_head},
    watched::Watched,
};
use crate::{
    activity::Phase,
    places::{Full, Place, Places, Yielding},
    tcp::network_of,
    transport::Io,
};

/// The most bytes of a request's line and headers, and of what is read ahead of a slow handler.
const MAX_BUFFER: usize = 32 * 1024;
const MAX_HEADERS: usize = 128;
/// How long the accept loop rests when the process has no descriptor left.
const ACCEPT_REST: Duration = Duration::from_millis(50);
/// How long a connection that has to go may take to close in order.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(100);
/// Of so many connections one may have a request with a large head: in memory it is several times as large as on its way.
const LARGE_HEADS_PART: usize = 8;
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

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
    /// How long the headers of a request may take: of the first from the connection's beginning, of others from their first byte.
    pub headers: Duration,
    /// How long a connection may wait for its next request; clients are told by `Keep-Alive`. An idle one goes sooner where
    /// another needs its place.
    pub idle: Duration,
    /// How many connections there may be at a time, without those that have become tunnels. Each may hold 32 KiB and no more.
    pub connections: usize,
    /// How long an idle connection may still bring a request after `stop`: one that is under way is answered, not cut off.
    pub linger: Duration,
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
    let places = Places::new(limits.connections);
    let large_heads = Places::new((limits.connections / LARGE_HEADS_PART).max(1));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        let (io, peer) = match accepted {
            Ok(accepted) => accepted,
            // Out of descriptors, or a client that was gone at once: the next may do better.
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "not accepted");
                sleep(ACCEPT_REST).await;
                continue;
            }
        };
        let place = tokio::select! {
            place = place_for(&places, peer) => place,
            () = stop.cancelled() => return,
        };
        let Some(place) = place else {
            tracing::debug!(%peer, "refused: its other connections have all of its places");
            continue;
        };
        let io = Watched::new(io, place.activity.clone(), limits.headers);
        let (service, heads) = (service.clone(), large_heads.clone());
        tasks.spawn(connection(io, peer, place, heads, service, limits, stop.clone()));
    }
}

/// `None`: its peer has too many that are being answered.
async fn place_for(places: &Arc<Places>, peer: SocketAddr) -> Option<Place> {
    loop {
        match places.take(network_of(peer.ip()), Yielding::Idle) {
            Ok(place) => return Some(place),
            Err(Full::ForPeer) => return None,
            Err(Full::ForAll) => places.freed().await,
        }
    }
}

async fn connection<S>(
    io: impl Io,
    peer: SocketAddr,
    place: Place,
    large_heads: Arc<Places>,
    service: S,
    limits: Limits,
    stop: CancellationToken,
) where
    S: Service<Request<Incoming>, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let state = Connection { peer, authenticated: Arc::default() };
    let keep_alive = HeaderValue::try_from(format!("timeout={}", limits.idle.as_secs())).ok();
    let handler = {
        let (activity, stop) = (place.activity.clone(), stop.clone());
        service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(state.clone());
            let head = has_large_head(request.headers())
                .then(|| large_heads.take(network_of(peer.ip()), Yielding::IdleOfRicher))
                .transpose();
            // Boxed, because hyper keeps room for it in every connection, and most of them are idle.
            let answering = Box::pin(answer(service.clone(), request, activity.clone(), head));
            let (keep_alive, stop) = (keep_alive.clone(), stop.clone());
            async move {
                let mut response = answering.await;
                if response.status() != StatusCode::SWITCHING_PROTOCOLS {
                    // Of the last answer it is told, so that no client sends the next request.
                    // What is left of a body that did not come in time may come yet, and is no request.
                    let is_late = response.status() == StatusCode::REQUEST_TIMEOUT;
                    if is_late || stop.is_cancelled() {
                        let close = HeaderValue::from_static("close");
                        response.headers_mut().insert(header::CONNECTION, close);
                    } else if let Some(keep_alive) = keep_alive {
                        response.headers_mut().insert(KEEP_ALIVE, keep_alive);
                    }
                }
                Ok::<_, Infallible>(response)
            }
        })
    };
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        // The transport has the shorter one for headers that have begun.
        .header_read_timeout(limits.idle)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_BUFFER)
        .serve_connection(TokioIo::new(io), handler)
        .with_upgrades();
    let mut served = std::pin::pin!(served);
    let stopped = async {
        stop.cancelled().await;
        if place.activity.phase() != Phase::Serving {
            sleep(limits.linger).await;
        }
    };
    let outcome = tokio::select! {
        outcome = served.as_mut() => outcome,
        () = place.close.cancelled() => {
            served.as_mut().graceful_shutdown();
            timeout(CLOSE_TIMEOUT, served).await.unwrap_or(Ok(()))
        }
        () = stopped => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%peer, error = &error as &dyn std::error::Error, "connection ended");
    }
}

#[cfg(test)]
mod tests;
