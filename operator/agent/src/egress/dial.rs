//! Opening a connection on the route of a request. Whatever is dialled has been judged, and is dialled as it was judged: a name is
//! resolved once.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use egress::{
    Credentials, Guard, Host, Lookup, Reach, Route, Routes, Scheme, Target, Upstream,
    UpstreamScheme,
};
use http::{HeaderValue, Uri};
use hyper_util::{
    client::legacy::connect::proxy::{SocksV4, SocksV5, Tunnel},
    rt::TokioIo,
};
use net::{tcp, transport::Dial};
use tokio::{net::lookup_host, sync::Semaphore, time::timeout};
use tower::{Service, service_fn};

use super::{
    counted::Counted,
    failure::{Cause, Failure},
    server_stream::ServerStream,
    traffic::Traffic,
    upstream_tls::UpstreamTls,
};

/// How many names are resolved at a time: each takes a thread.
const CONCURRENT_LOOKUPS: usize = 64;
const LOOKUP_SECONDS: u64 = 10;
/// How long one address may take; there may be others.
const CONNECT_SECONDS: u64 = 10;
/// How many addresses of one name are tried.
const MAX_TRIED: usize = 8;
/// How long an upstream may take to reach the server.
const UPSTREAM_SECONDS: u64 = 60;
/// What direct traffic is counted as.
const DIRECT: &str = "direct";

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Requests of HTTP, which an HTTP proxy takes as they are.
    Requests,
    /// Bytes.
    Tunnel,
}

#[derive(Debug)]
pub struct Dialer {
    routes: Routes,
    guard: Guard,
    traffic: Arc<Traffic>,
    lookups: Semaphore,
    tls: Arc<UpstreamTls>,
}

impl Dialer {
    pub fn new(routes: Routes, guard: Guard, traffic: Arc<Traffic>, tls: Arc<UpstreamTls>) -> Self {
        Self { routes, guard, traffic, lookups: Semaphore::new(CONCURRENT_LOOKUPS), tls }
    }

    /// What an HTTP proxy on a plain request's route knows its user by.
    pub fn proxy_authorization(&self, target: &Target) -> Option<HeaderValue> {
        match self.routes.choose(target).route {
            Route::External(upstream) if upstream.scheme.is_http() => {
                upstream.credentials.as_ref().and_then(basic)
            }
            _ => None,
        }
    }

    /// A failure of a request, with the route that it took.
    pub fn failure(&self, target: Target, cause: Cause) -> Failure {
        let choice = self.routes.choose(&target);
        let rule = choice.rule.map(str::to_owned);
        let upstream = match choice.route {
            Route::External(upstream) => Some(upstream.to_string()),
            Route::Direct { .. } | Route::Block => None,
        };
        Failure { cause, target: Some(target), rule, upstream }
    }

    /// Opens a connection for a request.
    pub async fn dial(&self, target: &Target, purpose: Purpose) -> Result<ServerStream, Failure> {
        let dialled = match self.routes.choose(target).route {
            Route::Block => Err(Cause::Blocked),
            Route::Direct { resolve } => self.direct(target, *resolve).await,
            Route::External(upstream) => self.through(upstream, target, purpose).await,
        };
        dialled.map_err(|cause| self.failure(target.clone(), cause))
    }

    async fn direct(
        &self,
        target: &Target,
        resolve: Option<IpAddr>,
    ) -> Result<ServerStream, Cause> {
        self.guard.check_target(target)?;
        self.connect(target, resolve, DIRECT).await.map(ServerStream::from)
    }

    async fn through(
        &self,
        upstream: &Upstream,
        target: &Target,
        purpose: Purpose,
    ) -> Result<ServerStream, Cause> {
        self.guard.check_target(target)?;
        let handshake = self.handshake(upstream, target, purpose);
        let seconds = UPSTREAM_SECONDS;
        timeout(Duration::from_secs(seconds), handshake)
            .await
            .unwrap_or(Err(Cause::UpstreamLate { seconds }))
    }

    async fn handshake(
        &self,
        upstream: &Upstream,
        target: &Target,
        purpose: Purpose,
    ) -> Result<ServerStream, Cause> {
        let host = if upstream.resolves_names() {
            target.host.clone()
        } else {
            let addresses = self.addresses(target).await?;
            addresses.first().map_or_else(|| target.host.clone(), |at| Host::Ip(at.ip()))
        };
        // An upstream is a destination like any other.
        let at = Target { scheme: Scheme::Http, host: upstream.host.clone(), port: upstream.port };
        self.guard.check_upstream(&at)?;
        let stream = self.connect(&at, None, &upstream.to_string()).await?;
        let stream = match upstream.scheme {
            UpstreamScheme::Https => self.tls.connect(stream, upstream).await?.into(),
            _ => ServerStream::from(stream),
        };
        if upstream.scheme.is_http() && purpose == Purpose::Requests {
            return Ok(stream.with_http_proxy());
        }
        let uri = |text: String| Uri::try_from(text).map_err(refused);
        let (proxy, server) =
            (uri(format!("http://{at}"))?, uri(format!("https://{host}:{}", target.port))?);
        // The connection is there already: its maker gives it away, once.
        let mut stream = Some(TokioIo::new(stream));
        let connected = service_fn(move |_: Uri| {
            let stream = stream.take();
            async move { stream.ok_or(Taken) }
        });
        let credentials = upstream.credentials.as_ref();
        let stream = match upstream.scheme {
            UpstreamScheme::Http | UpstreamScheme::Https => {
                let tunnel = Tunnel::new(proxy, connected);
                let mut tunnel = match credentials.and_then(basic) {
                    Some(authorization) => tunnel.with_auth(authorization),
                    None => tunnel,
                };
                tunnel.call(server).await.map_err(refused)?
            }
            UpstreamScheme::Socks4 => {
                SocksV4::new(proxy, connected).call(server).await.map_err(refused)?
            }
            UpstreamScheme::Socks5 | UpstreamScheme::Socks5h => {
                let socks = SocksV5::new(proxy, connected);
                let mut socks = match credentials {
                    Some(known) => {
                        socks.with_auth(known.username().to_owned(), known.password().to_owned())
                    }
                    None => socks,
                };
                socks.call(server).await.map_err(refused)?
            }
        };
        Ok(stream.into_inner())
    }

    /// Connects to the first address that accepts. `resolve`: the only one.
    async fn connect(
        &self,
        target: &Target,
        resolve: Option<IpAddr>,
        upstream: &str,
    ) -> Result<Counted, Cause> {
        let addresses = match resolve {
            Some(ip) => self.address(target, ip)?,
            None => self.addresses(target).await?,
        };
        let mut last = None;
        for address in addresses.into_iter().take(MAX_TRIED) {
            let seconds = CONNECT_SECONDS;
            let at = address.to_string();
            let dialler = tcp::Dialer(address);
            match timeout(Duration::from_secs(seconds), dialler.dial()).await {
                Ok(Ok(stream)) => {
                    return Ok(Counted::new(stream, self.traffic.counter(upstream)));
                }
                Ok(Err(error)) => last = Some(Cause::NotConnected { at, error }),
                Err(_) => last = Some(Cause::ConnectedLate { at, seconds }),
            }
        }
        Err(last.unwrap_or_else(|| not_found(&target.host.to_string())))
    }

    fn address(&self, target: &Target, ip: IpAddr) -> Result<Vec<SocketAddr>, Cause> {
        self.guard.check_address(target, ip, self.guard.reach_of_address())?;
        Ok(vec![SocketAddr::new(ip, target.port)])
    }

    /// The addresses of a host that may be dialled; there is one at least.
    async fn addresses(&self, target: &Target) -> Result<Vec<SocketAddr>, Cause> {
        let name = match &target.host {
            Host::Ip(ip) => return self.address(target, *ip),
            Host::Name(name) => name,
        };
        let mut failure = None;
        for Lookup { name, reach } in self.guard.lookups(name) {
            match self.lookup(&name, target.port).await {
                Ok(addresses) => return self.allowed(target, addresses, reach),
                // The last name is the one that was asked for.
                Err(cause) => failure = Some(cause),
            }
        }
        Err(failure.unwrap_or_else(|| not_found(name)))
    }

    /// Those that may be dialled, or why none may.
    fn allowed(
        &self,
        target: &Target,
        addresses: Vec<SocketAddr>,
        reach: Reach,
    ) -> Result<Vec<SocketAddr>, Cause> {
        let mut denial = None;
        let mut allowed = Vec::with_capacity(addresses.len());
        for address in addresses {
            match self.guard.check_address(target, address.ip(), reach) {
                Ok(()) => allowed.push(address),
                Err(reason) => denial = Some(reason),
            }
        }
        match denial {
            Some(denial) if allowed.is_empty() => Err(denial.into()),
            _ => Ok(allowed),
        }
    }

    async fn lookup(&self, name: &str, port: u16) -> Result<Vec<SocketAddr>, Cause> {
        let seconds = LOOKUP_SECONDS;
        let lookup = async {
            let _place = self.lookups.acquire().await;
            lookup_host((name, port)).await.map(Vec::from_iter)
        };
        match timeout(Duration::from_secs(seconds), lookup).await {
            Ok(Ok(addresses)) if addresses.is_empty() => Err(not_found(name)),
            Ok(Ok(addresses)) => Ok(addresses),
            Ok(Err(error)) => Err(Cause::NameNotFound { name: name.to_owned(), error }),
            Err(_) => Err(Cause::ResolvedLate { name: name.to_owned(), seconds }),
        }
    }
}

/// RFC 7617, section 2.
fn basic(credentials: &Credentials) -> Option<HeaderValue> {
    let pair = format!("{}:{}", credentials.username(), credentials.password());
    let mut value =
        HeaderValue::try_from(format!("Basic {}", BASE64_STANDARD.encode(pair))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn refused(error: impl std::fmt::Display) -> Cause {
    Cause::Upstream(error.to_string())
}

fn not_found(name: &str) -> Cause {
    let error = std::io::Error::from(std::io::ErrorKind::NotFound);
    Cause::NameNotFound { name: name.to_owned(), error }
}

/// A connection was asked for twice.
#[derive(Debug, thiserror::Error)]
#[error("the connection is in use")]
struct Taken;
