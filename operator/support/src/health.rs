//! The second port: `/healthz`, `/readyz`, `/metrics`. Nothing of a session is here.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::{HeaderValue, StatusCode, header};
use prometheus_client::{encoding::text::encode, registry::Registry};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use warp::{Filter, Reply, reply::Response};

use net::{
    server::{Limits, serve},
    tcp,
};

/// For probes and scrapers.
const LIMITS: Limits = Limits {
    headers: Duration::from_secs(5),
    idle: Duration::from_secs(60),
    connections: 64,
    linger: Duration::ZERO,
};

/// Whether this process should get traffic; false until [`Ready::set`].
#[derive(Clone, Debug, Default)]
pub struct Ready(Arc<AtomicBool>);

impl Ready {
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Release);
    }

    #[must_use]
    pub fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Serves the second port until `stop`.
pub async fn run(
    listener: TcpListener,
    ready: Ready,
    metrics: Arc<Registry>,
    stop: CancellationToken,
    tasks: TaskTracker,
) {
    serve(
        tcp::Listener::from(listener),
        warp::service(routes(ready, metrics)),
        LIMITS,
        stop,
        tasks,
    )
    .await;
}

fn routes(
    ready: Ready,
    metrics: Arc<Registry>,
) -> impl Filter<Extract = (Response,), Error = Infallible> + Clone {
    warp::path::full().map(move |path: warp::path::FullPath| match path.as_str() {
        "/healthz" => "ok".into_response(),
        "/readyz" if ready.get() => "ok".into_response(),
        "/readyz" => {
            warp::reply::with_status("not ready", StatusCode::SERVICE_UNAVAILABLE).into_response()
        }
        "/metrics" => render(&metrics),
        _ => StatusCode::NOT_FOUND.into_response(),
    })
}

fn render(metrics: &Registry) -> Response {
    let mut text = String::new();
    if encode(&mut text, metrics).is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let mut reply = text.into_response();
    reply.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8"),
    );
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn readiness_is_what_the_role_says() {
        let ready = Ready::default();
        let routes = routes(ready.clone(), Arc::new(Registry::default()));
        let get = |path| warp::test::request().path(path).reply(&routes);
        assert_eq!(get("/healthz").await.status(), 200);
        assert_eq!(get("/readyz").await.status(), 503);
        ready.set(true);
        assert_eq!(get("/readyz").await.status(), 200);
        assert_eq!(get("/metrics").await.status(), 200);
        assert_eq!(get("/session").await.status(), 404);
    }
}
