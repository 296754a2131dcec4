//! CONNECT: bytes both ways, until one end closes. TLS and WebSockets are carried by it.

use egress::{Host, Scheme, Target};
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use net::{Body, body::empty};
use tokio::io::copy_bidirectional_with_sizes;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    dial::{Dialer, Purpose},
    failure::{Cause, Failure},
    failures::Failures,
};

/// How much of each direction is held in memory, in bytes.
const BUFFER: usize = 32 << 10;
/// The port on which a tunnel is taken for `ws`, whose scheme nobody says.
const WS_PORT: u16 = 80;

/// Opens a tunnel, and carries its bytes in a task until `end`.
pub async fn open(
    dialer: &Dialer,
    failures: &Failures,
    request: Request<Incoming>,
    end: CancellationToken,
    tasks: &TaskTracker,
) -> Response<Body> {
    let dialled = match target(request.uri()) {
        Ok(target) => dialer.dial(&target, Purpose::Tunnel).await,
        Err(cause) => Err(Failure::from(cause)),
    };
    let mut server = match dialled {
        Ok(server) => server,
        Err(failure) => return failures.answer(&failure),
    };
    let upgrade = hyper::upgrade::on(request);
    let carrying = async move {
        let browser = match upgrade.await {
            Ok(browser) => browser,
            Err(error) => return tracing::debug!(%error, "a tunnel that was not begun"),
        };
        let mut browser = TokioIo::new(browser);
        let copied = copy_bidirectional_with_sizes(&mut browser, &mut server, BUFFER, BUFFER).await;
        if let Err(error) = copied {
            tracing::debug!(error = &error as &dyn std::error::Error, "a tunnel broke");
        }
    };
    tasks.spawn(async move { end.run_until_cancelled(carrying).await });
    Response::new(empty())
}

fn target(uri: &Uri) -> Result<Target, Cause> {
    let authority = uri.authority().ok_or(Cause::NoTarget)?;
    let host = Host::parse(authority.host()).ok_or(Cause::NoTarget)?;
    let port = authority.port_u16().filter(|port| *port > 0).ok_or(Cause::NoTarget)?;
    let scheme = if port == WS_PORT { Scheme::Http } else { Scheme::Https };
    Ok(Target { scheme, host, port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tunnel_names_its_server_and_port() {
        for (text, expected) in [
            ("a.example:443", Some((Scheme::Https, "a.example:443"))),
            ("a.example:80", Some((Scheme::Http, "a.example:80"))),
            ("[2001:db8::1]:8443", Some((Scheme::Https, "[2001:db8::1]:8443"))),
            ("0x7f.1:443", Some((Scheme::Https, "127.0.0.1:443"))),
            ("a.example", None),
            ("a.example:0", None),
        ] {
            let read = target(&text.parse().unwrap()).ok();
            let read = read.map(|target| (target.scheme, target.to_string()));
            assert_eq!(read, expected.map(|(scheme, at)| (scheme, at.to_owned())), "{text}");
        }
    }
}
