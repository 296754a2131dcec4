//! Talking to the agent in a browser pod: every connection begins with a proof of both ends.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use agent_api::{
    bind::{AGENT_PORT, AUTHENTICATE_PATH, CHALLENGE_HEADER, PROOF_HEADER, PROVE_PATH},
    token::PodToken,
};
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy,
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{Body, BoxError, tcp};

/// How long a pod may take to accept a connection and prove itself.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection that is not used is kept. Shorter than the agent keeps it, so that no command is written to a
/// connection that is being closed.
const POOL_IDLE: Duration = Duration::from_secs(60);
/// How long the agent keeps it.
pub const AGENT_IDLE: Duration = Duration::from_secs(180);
/// The most bytes of a reply before a connection is proven.
const MAX_REPLY: usize = 4096;
/// The bytes of a challenge.
const CHALLENGE_BYTES: usize = 16;

/// Why an agent gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing listens there, or it hung up before an answer.
    #[error("the pod does not answer")]
    Unreachable(#[source] legacy::Error),
    /// The connection broke, or what came is not HTTP.
    #[error("the pod's answer broke off")]
    Broken(#[source] BoxError),
}

/// The way to one pod's agent. Connections are kept for the next request.
#[derive(Clone, Debug)]
pub struct Agent {
    client: legacy::Client<Connector, Body>,
}

impl Agent {
    /// The agent at a pod's address.
    #[must_use]
    pub fn new(ip: IpAddr, token: PodToken) -> Self {
        let connector = Connector { address: SocketAddr::new(ip, AGENT_PORT), token };
        let client = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(POOL_IDLE)
            .build(connector);
        Self { client }
    }

    /// The URI of a path (with its query) at this agent.
    ///
    /// # Errors
    /// A path that HTTP cannot carry.
    pub fn uri(path_and_query: &str) -> Result<Uri, http::Error> {
        Uri::builder().scheme("http").authority("agent").path_and_query(path_and_query).build()
    }

    /// Sends a request and gives its reply, whatever its status.
    ///
    /// # Errors
    /// [`Error::Unreachable`].
    pub async fn send(&self, request: Request<Body>) -> Result<Response<Incoming>, Error> {
        self.client.request(request).await.map_err(Error::Unreachable)
    }
}

#[derive(Clone, Debug)]
struct Connector {
    address: SocketAddr,
    token: PodToken,
}

impl tower::Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let Self { address, token } = self.clone();
        Box::pin(async move {
            let connecting = tokio::time::timeout(CONNECT_TIMEOUT, connect(address, &token));
            Ok(TokioIo::new(connecting.await??))
        })
    }
}

async fn connect(address: SocketAddr, token: &PodToken) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    tcp::prepare(&stream)?;
    let mut challenge = [0; CHALLENGE_BYTES];
    getrandom::fill(&mut challenge).map_err(io::Error::other)?;
    let challenge = hex::encode(challenge);

    let head = format!("{CHALLENGE_HEADER}: {challenge}");
    let reply = ask(&mut stream, PROVE_PATH, &head).await?;
    if !is_proven(&reply, token, &challenge) {
        return Err(io::Error::other("what answers at the pod's address is not this pod's agent"));
    }
    let head = format!("authorization: Bearer {}", token.reveal());
    let reply = ask(&mut stream, AUTHENTICATE_PATH, &head).await?;
    if parse(&reply, |response| response.code) == Some(Some(204)) {
        Ok(stream)
    } else {
        Err(io::Error::other("the pod's agent does not accept its token"))
    }
}

/// One request by hand, before HTTP's client gets the connection; the reply has no body.
async fn ask(stream: &mut TcpStream, path: &str, head: &str) -> io::Result<Vec<u8>> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: agent\r\n{head}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut reply = Vec::with_capacity(512);
    while !reply.ends_with(b"\r\n\r\n") {
        if reply.len() >= MAX_REPLY || stream.read_buf(&mut reply).await? == 0 {
            return Err(io::Error::other("no agent answers at the pod's address"));
        }
    }
    Ok(reply)
}

fn is_proven(reply: &[u8], token: &PodToken, challenge: &str) -> bool {
    parse(reply, |response| {
        let proof = response.headers.iter().find(|h| h.name.eq_ignore_ascii_case(PROOF_HEADER));
        response.code == Some(204)
            && proof
                .and_then(|proof| std::str::from_utf8(proof.value).ok())
                .is_some_and(|proof| token.hash().is_proven_by(challenge, proof))
    }) == Some(true)
}

/// Looks into a whole reply; `None` where it is no HTTP.
fn parse<T>(reply: &[u8], look: impl FnOnce(&httparse::Response<'_, '_>) -> T) -> Option<T> {
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(reply) {
        Ok(httparse::Status::Complete(_)) => Some(look(&response)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_api::{PodRef, token::InstallationKey};

    #[test]
    fn only_the_pods_own_agent_is_believed() {
        let key = InstallationKey::new(&[1; 32]).unwrap();
        let (token, other) =
            (key.pod_token(&PodRef::new("a", "b")), key.pod_token(&PodRef::new("a", "c")));
        let reply = |hash: agent_api::token::TokenHash, status| {
            format!("HTTP/1.1 {status} X\r\n{PROOF_HEADER}: {}\r\n\r\n", hash.prove("c"))
        };
        assert!(is_proven(reply(token.hash(), 204).as_bytes(), &token, "c"));
        assert!(!is_proven(reply(token.hash(), 204).as_bytes(), &token, "d"));
        assert!(!is_proven(reply(token.hash(), 200).as_bytes(), &token, "c"));
        assert!(!is_proven(reply(other.hash(), 204).as_bytes(), &token, "c"));
        assert!(!is_proven(b"HTTP/1.1 204 X\r\n\r\n", &token, "c"));
        assert!(!is_proven(b"hello", &token, "c"));
    }
}
