//! The proxy's listener and its state, which a bind sets.

use std::{convert::Infallible, io, net::Ipv4Addr, sync::Arc, time::Duration};

use agent_api::traffic::Traffic as Report;
use egress::{Guard, Routes};
use http::{Method, Request, Response, uri};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use net::Body;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    time::sleep,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    dial::Dialer,
    failure::{Cause, Failure},
    failures::Failures,
    forward::Forwarder,
    lost_pages::LostPages,
    traffic::Traffic,
    tunnel,
    upstream_tls::UpstreamTls,
};

/// How many connections the browser may have at a time; more wait. Chromium has at most 32 to one proxy, and 255 WebSockets.
const MAX_CONNECTIONS: usize = 1024;
/// How long a connection of the browser may be without a request.
const IDLE: Duration = Duration::from_secs(600);
/// The most bytes of a request's line and headers: no browser sends more.
const MAX_BUFFER: usize = 256 << 10;
const MAX_HEADERS: usize = 256;
/// How long the accept loop rests when the process has no descriptor left.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// What requests are carried by, from when their routes are set until others are.
#[derive(Debug)]
struct Carrier {
    dialer: Arc<Dialer>,
    forwarder: Forwarder,
}

/// The browser's proxy. Clones share it.
#[derive(Clone, Debug)]
pub struct EgressProxy {
    port: u16,
    /// `None` before the bind: nothing is carried.
    carrier: watch::Sender<Option<Arc<Carrier>>>,
    traffic: Arc<Traffic>,
    /// One for all routes that a session has: it reads the certificates of the machine.
    tls: Arc<UpstreamTls>,
    failures: Arc<Failures>,
    lost_pages: Arc<LostPages>,
}

impl EgressProxy {
    /// Listens, and serves until `end`.
    pub async fn start(end: CancellationToken, tasks: &TaskTracker) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let proxy = Self {
            port: listener.local_addr()?.port(),
            carrier: watch::Sender::new(None),
            traffic: Arc::default(),
            tls: Arc::default(),
            failures: Arc::default(),
            lost_pages: Arc::default(),
        };
        let serving = proxy.clone().serve(listener, end.clone(), tasks.clone());
        tasks.spawn(async move { end.run_until_cancelled(serving).await });
        Ok(proxy)
    }

    /// Its port of loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Sets the routes of requests to come. What is being carried keeps its own.
    pub fn set_routes(&self, routes: Routes, guard: Guard) {
        let dialer = Arc::new(Dialer::new(routes, guard, self.traffic.clone(), self.tls.clone()));
        let forwarder =
            Forwarder::new(dialer.clone(), self.failures.clone(), self.lost_pages.clone());
        self.carrier.send_replace(Some(Arc::new(Carrier { dialer, forwarder })));
    }

    /// The pages that did not arrive.
    pub fn lost_pages(&self) -> &Arc<LostPages> {
        &self.lost_pages
    }

    pub fn traffic(&self) -> Report {
        Report { failures: self.failures.report(), ..self.traffic.report() }
    }

    async fn serve(self, listener: TcpListener, end: CancellationToken, tasks: TaskTracker) {
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let Ok(place) = places.clone().acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let connection = self.clone().connection(stream, end.clone(), tasks.clone());
                    let end = end.clone();
                    tasks.spawn(async move {
                        end.run_until_cancelled(connection).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "not accepted");
                    sleep(ACCEPT_REST).await;
                }
            }
        }
    }

    async fn connection(self, stream: TcpStream, end: CancellationToken, tasks: TaskTracker) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(error = &error as &dyn std::error::Error, "socket options");
        }
        let handler = service_fn(|request| {
            let (proxy, end, tasks) = (self.clone(), end.clone(), tasks.clone());
            async move { Ok::<_, Infallible>(proxy.answer(request, end, &tasks).await) }
        });
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(IDLE)
            .max_headers(MAX_HEADERS)
            .max_buf_size(MAX_BUFFER)
            .preserve_header_case(true)
            .serve_connection(TokioIo::new(stream), handler)
            .with_upgrades();
        if let Err(error) = served.await {
            tracing::debug!(error = &error as &dyn std::error::Error, "the browser's connection");
        }
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        end: CancellationToken,
        tasks: &TaskTracker,
    ) -> Response<Body> {
        let Some(carrier) = self.carrier.borrow().clone() else {
            return self.failures.answer(&Failure::from(Cause::NoSession));
        };
        if request.method() == Method::CONNECT {
            return tunnel::open(&carrier.dialer, &self.failures, request, end, tasks).await;
        }
        if request.uri().scheme() != Some(&uri::Scheme::HTTP) {
            return self.failures.answer(&Failure::from(Cause::NoTarget));
        }
        carrier.forwarder.forward(request).await
    }
}
