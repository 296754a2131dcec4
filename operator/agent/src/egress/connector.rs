//! The connections of the HTTP client that carries plain requests.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use egress::{Host, Scheme, Target};
use http::Uri;
use hyper_util::rt::TokioIo;
use tower::Service;

use super::{
    dial::{Dialer, Purpose},
    failure::{Cause, Failure},
    server_stream::ServerStream,
};

/// The port of `http` (RFC 9110, section 4.2.1).
const HTTP_PORT: u16 = 80;

/// The server of a plain request.
pub fn target(uri: &Uri) -> Result<Target, Cause> {
    let host = uri.host().and_then(Host::parse).ok_or(Cause::NoTarget)?;
    let port = uri.port_u16().unwrap_or(HTTP_PORT);
    Ok(Target { scheme: Scheme::Http, host, port })
}

#[derive(Clone, Debug)]
pub struct Connector(pub Arc<Dialer>);

impl Service<Uri> for Connector {
    type Response = TokioIo<ServerStream>;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Failure>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let dialer = self.0.clone();
        Box::pin(
            async move { dialer.dial(&target(&uri)?, Purpose::Requests).await.map(TokioIo::new) },
        )
    }
}
