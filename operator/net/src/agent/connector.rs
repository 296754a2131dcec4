//! Opens connections for the HTTP client, and hands out only those that are proven.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use agent_api::pod_token::PodToken;
use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::{
    client::legacy::connect::{Connected, Connection},
    rt::TokioIo,
};
use tokio::time::timeout;

use super::proof::prove_both_ends;
use crate::transport::Dial;

/// How long a pod may take to accept a connection and prove itself.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Clone, Debug)]
pub(super) struct Connector<D> {
    dialer: D,
    token: PodToken,
}

impl<D> Connector<D> {
    pub(super) fn new(dialer: D, token: PodToken) -> Self {
        Self { dialer, token }
    }
}

impl<D: Dial> tower::Service<Uri> for Connector<D> {
    type Response = ProvenIo<D::Io>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let Self { dialer, token } = self.clone();
        Box::pin(async move {
            let connecting = async {
                let mut io = dialer.dial().await?;
                prove_both_ends(&mut io, &token).await?;
                Ok(ProvenIo(TokioIo::new(io)))
            };
            timeout(CONNECT_TIMEOUT, connecting).await?
        })
    }
}

/// A connection both of whose ends are proven. The HTTP client asks its connections what they are ([`Connection`]), which not
/// every transport can say.
pub(super) struct ProvenIo<Io>(TokioIo<Io>);

impl<Io> Connection for ProvenIo<Io> {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl<Io: crate::transport::Io> Read for ProvenIo<Io> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<Io: crate::transport::Io> Write for ProvenIo<Io> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        agent::Agent,
        body::{collect, empty, full},
    };
    use agent_api::{
        PodRef,
        installation_key::InstallationKey,
        paths::{CHALLENGE_HEADER, PROOF_HEADER},
    };
    use http::{Request, Response, header};
    use http_body_util::BodyExt;
    use hyper::{server::conn::http1, service::service_fn};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    /// An agent that was told `token`, at the other end of a pipe.
    #[derive(Clone)]
    struct Pipe(PodToken);

    impl Dial for Pipe {
        type Io = DuplexStream;

        async fn dial(&self) -> io::Result<DuplexStream> {
            let (near, far) = tokio::io::duplex(1024);
            let token = self.0.clone();
            let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                let header = |name| Some(request.headers().get(name)?.to_str().ok()?.to_owned());
                let mut reply = Response::new(full("answer"));
                if let Some(challenge) = header(CHALLENGE_HEADER) {
                    reply = Response::new(empty());
                    *reply.status_mut() = http::StatusCode::NO_CONTENT;
                    let proof = token.hash().prove(&challenge).parse().unwrap();
                    reply.headers_mut().insert(PROOF_HEADER, proof);
                } else if let Some(shown) = header(header::AUTHORIZATION.as_str()) {
                    assert!(token.hash().accepts(shown.strip_prefix("Bearer ").unwrap()));
                    reply = Response::new(empty());
                    *reply.status_mut() = http::StatusCode::NO_CONTENT;
                }
                std::future::ready(Ok::<_, std::convert::Infallible>(reply))
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(far), service));
            Ok(near)
        }
    }

    fn token(pod: &str) -> PodToken {
        InstallationKey::new(&[1; 32]).unwrap().pod_token(&PodRef::new("a", pod))
    }

    #[tokio::test]
    async fn an_agent_is_reached_over_any_transport_once_it_is_proven() {
        let request = || Request::get(Agent::uri("/status").unwrap()).body(empty()).unwrap();
        let agent = Agent::over(Pipe(token("b")), token("b"));
        for _ in 0..2 {
            let reply = agent.send(request()).await.unwrap().into_body();
            assert_eq!(collect(reply.map_err(Box::new), 100).await.unwrap(), "answer");
        }
        let other = Agent::over(Pipe(token("c")), token("b"));
        assert!(other.send(request()).await.is_err());
    }

    /// What has an agent's address, and is none: it sends the same for ever, or nothing.
    #[derive(Clone)]
    struct Forged(&'static [u8]);

    impl Dial for Forged {
        type Io = DuplexStream;

        async fn dial(&self) -> io::Result<DuplexStream> {
            let (near, mut far) = tokio::io::duplex(1024);
            let Self(says) = *self;
            tokio::spawn(async move {
                while !says.is_empty() && far.write_all(says).await.is_ok() {}
                // Open, until the other end gives up.
                far.read_to_end(&mut Vec::new()).await
            });
            Ok(near)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_no_agent_costs_seconds_and_little_memory() {
        for says in [
            &b""[..],
            b"x",
            b"HTTP/1.1 204 No Content\r\n",
            b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n",
        ] {
            let agent = Agent::over(Forged(says), token("b"));
            let request = Request::get(Agent::uri("/status").unwrap()).body(empty()).unwrap();
            let begun = tokio::time::Instant::now();
            let error = agent.send(request).await.unwrap_err();
            assert!(matches!(error, crate::agent::Error::Unreachable(_)), "{error}");
            assert!(begun.elapsed() <= CONNECT_TIMEOUT + Duration::from_millis(10));
        }
    }
}
