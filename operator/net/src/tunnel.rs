//! WebSocket handshakes (RFC 6455, section 4), and carrying a socket's bytes without looking at them.

use std::{
    future::{Future, pending},
    io,
    pin::pin,
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    time::{sleep, timeout},
};
use warp::{Reply, reply::Response};

use crate::{
    BoxError,
    frames::{self, Frames},
};

/// How much is read at a time.
const BUFFER: usize = 16 * 1024;
/// How long a client may take to read what is there for it.
const READ: Duration = Duration::from_secs(60);
/// How long one end may take when the other is done.
const LINGER: Duration = Duration::from_secs(2);

/// How long the verdict on a server that is gone may take.
const VERDICT: Duration = Duration::from_secs(5);

/// Whether a request asks for a WebSocket: a GET with two headers (section 4.1).
#[must_use]
pub fn wants_websocket(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::GET
        && has_token(headers, header::UPGRADE, "websocket")
        && has_token(headers, header::CONNECTION, "upgrade")
}

/// The key of a handshake of version 13; what is wrong, for a client to read, where it is none.
///
/// # Errors
/// The header that is missing or wrong.
pub fn handshake_key(headers: &HeaderMap) -> Result<&HeaderValue, &'static str> {
    if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err("Sec-WebSocket-Version must be 13");
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY).ok_or("Sec-WebSocket-Key is missing")?;
    // Sixteen bytes in base64 (section 4.1).
    match BASE64_STANDARD.decode(key.as_bytes()) {
        Ok(bytes) if bytes.len() == 16 => Ok(key),
        _ => Err("Sec-WebSocket-Key must be 16 bytes in base64"),
    }
}

/// The answer to a handshake that is none.
#[must_use]
pub fn refused_handshake(why: &'static str) -> Response {
    let mut reply = warp::reply::with_status(why, StatusCode::BAD_REQUEST).into_response();
    // Section 4.2.2, item 4: the version that is understood.
    reply.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    reply
}

/// The headers of a handshake with this key.
#[must_use]
pub fn handshake(key: HeaderValue) -> [(header::HeaderName, HeaderValue); 4] {
    [
        (header::CONNECTION, HeaderValue::from_static("upgrade")),
        (header::UPGRADE, HeaderValue::from_static("websocket")),
        (header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13")),
        (header::SEC_WEBSOCKET_KEY, key),
    ]
}

/// The answer 101 to a handshake; `accept` comes from its key.
#[must_use]
pub fn switching_protocols(accept: HeaderValue) -> Response {
    let mut reply = StatusCode::SWITCHING_PROTOCOLS.into_response();
    reply.headers_mut().extend([
        (header::CONNECTION, HeaderValue::from_static("upgrade")),
        (header::UPGRADE, HeaderValue::from_static("websocket")),
        (header::SEC_WEBSOCKET_ACCEPT, accept),
    ]);
    reply
}

/// One end of a tunnel: its connection, and what had been read from it before it became one.
#[derive(Debug)]
pub struct End {
    stream: TcpStream,
    read: Bytes,
}

impl End {
    /// The end of an upgraded connection.
    ///
    /// # Errors
    /// The other side never switched protocols.
    pub async fn of(upgrade: OnUpgrade) -> Result<Self, BoxError> {
        let parts = upgrade
            .await?
            .downcast::<TokioIo<TcpStream>>()
            .map_err(|_| "the connection is not TCP's own")?;
        // What had been read stands in the connection's buffer, of several KiB, which an idle tunnel must not keep.
        let read = Bytes::copy_from_slice(&parts.read_buf);
        Ok(Self { stream: parts.io.into_inner(), read })
    }

    /// The connection, and what had been read from it.
    #[must_use]
    pub fn into_parts(self) -> (TcpStream, Bytes) {
        (self.stream, self.read)
    }

    /// An end whose first messages have been read already; `read` is what came behind them.
    #[must_use]
    pub fn new(stream: TcpStream, read: Bytes) -> Self {
        Self { stream, read }
    }
}

/// The last word of a tunnel that is cut.
#[derive(Clone, Debug)]
pub struct Farewell {
    /// The Close frame's code.
    pub code: u16,
    /// Its reason.
    pub reason: String,
}

/// How a tunnel ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Whether the client said goodbye with a Close frame.
    pub closed: bool,
}

/// Carries a WebSocket's bytes both ways until one end is done and the other has been told. A `cut` puts a Close frame to
/// the client where a frame ends. With `ping`, a client to which nothing went for so long gets one. `used` is called
/// whenever something went by. A server that is gone without a Close frame is explained by the `verdict`, where that comes
/// soon. A tunnel on which nothing goes by holds no buffer.
pub async fn join(
    mut client: End,
    mut server: End,
    ping: Option<Duration>,
    used: impl Fn(),
    cut: impl Future<Output = Farewell>,
    verdict: impl Future<Output = Farewell>,
) -> Ended {
    let mut from_client = Frames::default();
    let outcome = {
        let (client_in, mut client_out) = client.stream.split();
        let (server_in, mut server_out) = server.stream.split();
        let up = up(client_in, &mut server_out, &client.read, &mut from_client, &used);
        let down = down(server_in, &mut client_out, &server.read, ping, &used, cut, verdict);
        let (mut up, mut down) = (pin!(up), pin!(down));
        // When one is done, the other may still hear its last words, and answer a Close frame.
        tokio::select! {
            outcome = &mut up => {
                // A server that takes nothing more may have said something before it went.
                let last = timeout(LINGER + VERDICT, down).await.unwrap_or(Ok(Down::Done));
                outcome.and(last)
            }
            outcome = &mut down => match outcome {
                Ok(Down::Done) => timeout(LINGER, up).await.unwrap_or(Ok(())).map(|()| Down::Done),
                other => other,
            },
        }
    };
    drop(server);
    match outcome {
        Ok(Down::Done) => {}
        // What the client answers to the Close frame is not for the server, which said none.
        Ok(Down::Cut) => hear_out(&mut client.stream).await,
        Err(error) => tracing::debug!(error = &error as &dyn std::error::Error, "tunnel broke"),
    }
    Ended { closed: from_client.closed() }
}

/// Reads what a client that has been told goodbye still says: a connection that is closed before it is read may take the
/// Close frame with it.
pub async fn hear_out(client: &mut TcpStream) {
    let mut nowhere = tokio::io::sink();
    match timeout(LINGER, tokio::io::copy(client, &mut nowhere)).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => {
            tracing::debug!(error = &error as &dyn std::error::Error, "after goodbye");
        }
        Err(_) => tracing::debug!("the client does not answer a Close frame"),
    }
}

/// How the way to the client ended.
enum Down {
    /// The server is done.
    Done,
    /// It was cut.
    Cut,
}

/// From the client to the server, until the client is done.
async fn up(
    from: ReadHalf<'_>,
    to: &mut WriteHalf<'_>,
    read: &[u8],
    frames: &mut Frames,
    used: &impl Fn(),
) -> io::Result<()> {
    let mut from = from;
    frames.pass(read);
    to.write_all(read).await?;
    loop {
        let bytes = take(&mut from).await?;
        if bytes.is_empty() {
            return to.shutdown().await;
        }
        if frames.pass(&bytes) {
            used();
        }
        to.write_all(&bytes).await?;
    }
}

/// From the server to the client, until the server is done or the tunnel is cut.
async fn down(
    from: ReadHalf<'_>,
    to: &mut WriteHalf<'_>,
    read: &[u8],
    ping: Option<Duration>,
    used: &impl Fn(),
    cut: impl Future<Output = Farewell>,
    verdict: impl Future<Output = Farewell>,
) -> io::Result<Down> {
    let (mut from, mut frames, mut farewell) = (from, Frames::default(), None);
    let mut cut = pin!(cut);
    let mut bytes = read.to_vec();
    loop {
        if frames.pass(&bytes) {
            used();
        }
        let written = {
            let mut writing = pin!(to.write_all(&bytes));
            tokio::select! {
                written = timeout(READ, &mut writing) => written,
                last = &mut cut, if farewell.is_none() => {
                    farewell = Some(last);
                    timeout(LINGER, writing).await
                }
            }
        };
        match written {
            Ok(written) => written?,
            // It reads nothing: no Close frame would reach it either.
            Err(_) if farewell.is_some() => return Ok(Down::Cut),
            Err(_) => {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read"));
            }
        }
        if let Some(Farewell { code, reason }) = &farewell
            && frames.at_boundary()
        {
            if !frames.closed() {
                to.write_all(&frames::close(*code, reason)).await?;
            }
            return to.shutdown().await.map(|()| Down::Cut);
        }
        let quiet = async {
            match ping {
                Some(quiet) => sleep(quiet).await,
                None => pending().await,
            }
        };
        bytes = tokio::select! {
            bytes = take(&mut from) => match bytes {
                Ok(bytes) if !bytes.is_empty() => bytes,
                // It closed its connection, or that broke.
                _ if frames.closed() || !frames.at_boundary() => {
                    return to.shutdown().await.map(|()| Down::Done);
                }
                _ => {
                    let Ok(Farewell { code, reason }) = timeout(VERDICT, verdict).await else {
                        return to.shutdown().await.map(|()| Down::Done);
                    };
                    to.write_all(&frames::close(code, &reason)).await?;
                    return to.shutdown().await.map(|()| Down::Cut);
                }
            },
            last = &mut cut, if farewell.is_none() => {
                farewell = Some(last);
                Vec::new()
            }
            // What does not finish its frame after the cut never will.
            () = sleep(LINGER), if farewell.is_some() => {
                return to.shutdown().await.map(|()| Down::Cut);
            }
            // Nothing may follow a Close frame (section 5.5.1).
            () = quiet, if frames.at_boundary() && !frames.closed() => frames::ping(),
        };
    }
}

/// What has come; nothing at the end. The buffer is made when there is something for it.
async fn take(from: &mut ReadHalf<'_>) -> io::Result<Vec<u8>> {
    from.readable().await?;
    let mut bytes = Vec::with_capacity(BUFFER);
    from.read_buf(&mut bytes).await?;
    Ok(bytes)
}

fn has_token(headers: &HeaderMap, name: header::HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|value| value.trim().eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_websocket_is_asked_for_by_two_headers() {
        let mut headers = HeaderMap::new();
        headers.insert("upgrade", HeaderValue::from_static("WebSocket"));
        assert!(!wants_websocket(&Method::GET, &headers));
        headers.insert("connection", HeaderValue::from_static("keep-alive, Upgrade"));
        assert!(wants_websocket(&Method::GET, &headers));
        assert!(!wants_websocket(&Method::POST, &headers));
        assert_eq!(handshake_key(&headers), Err("Sec-WebSocket-Version must be 13"));
        headers.insert("sec-websocket-version", HeaderValue::from_static("13"));
        for (key, is_one) in [("dGhlIHNhbXBsZSBub25jZQ==", true), ("short", false), ("AAAA", false)]
        {
            headers.insert("sec-websocket-key", HeaderValue::from_static(key));
            assert_eq!(handshake_key(&headers).is_ok(), is_one, "{key}");
        }
    }

    /// Both ends of a tunnel, as client and server see them, and the tunnel's own ends.
    async fn ends() -> (TcpStream, End, TcpStream, End) {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut pairs = Vec::new();
        for _ in 0..2 {
            let outer = TcpStream::connect(address).await.unwrap();
            let (inner, _) = listener.accept().await.unwrap();
            pairs.push((outer, End::new(inner, Bytes::new())));
        }
        let (server, server_end) = pairs.pop().unwrap();
        let (client, client_end) = pairs.pop().unwrap();
        (client, client_end, server, server_end)
    }

    #[tokio::test]
    async fn a_cut_waits_for_the_end_of_a_frame() {
        let (mut client, client_end, mut server, server_end) = ends().await;
        let (send, when) = tokio::sync::oneshot::channel::<()>();
        let cut = async {
            let _ = when.await;
            Farewell { code: 1001, reason: "bye".to_owned() }
        };
        let tunnel = tokio::spawn(join(client_end, server_end, None, || {}, cut, pending()));
        // A frame of four bytes, in two pieces.
        server.write_all(&[0x81, 4, b'a', b'b']).await.unwrap();
        let mut seen = [0; 4];
        client.read_exact(&mut seen).await.unwrap();
        send.send(()).unwrap();
        server.write_all(b"cd").await.unwrap();
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, [b"cd".as_slice(), &frames::close(1001, "bye")].concat());
        drop(client);
        assert_eq!(tunnel.await.unwrap(), Ended { closed: false });
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_nothing_does_not_keep_its_tunnel() {
        let (client, client_end, mut server, server_end) = ends().await;
        let (send, when) = tokio::sync::oneshot::channel::<()>();
        let cut = async {
            let _ = when.await;
            Farewell { code: 1001, reason: "bye".to_owned() }
        };
        let tunnel = tokio::spawn(join(client_end, server_end, None, || {}, cut, pending()));
        // More than every buffer on the way takes.
        let sending = tokio::spawn(async move {
            let frame = [[0x82, 127, 0, 0, 0, 0, 4, 0, 0, 0].as_slice(), &[0; 64 << 20]].concat();
            let _ = server.write_all(&frame).await;
        });
        tokio::task::yield_now().await;
        send.send(()).unwrap();
        assert_eq!(tunnel.await.unwrap(), Ended { closed: false });
        sending.await.unwrap();
        drop(client);
    }

    #[tokio::test]
    async fn a_goodbye_is_told_from_a_drop() {
        for closes in [true, false] {
            let (mut client, client_end, mut server, server_end) = ends().await;
            let never = pending::<Farewell>();
            let tunnel = tokio::spawn(join(client_end, server_end, None, || {}, never, pending()));
            if closes {
                client.write_all(&[0x88, 0x80, 0, 0, 0, 0]).await.unwrap();
            }
            drop(client);
            let mut seen = Vec::new();
            server.read_to_end(&mut seen).await.unwrap();
            drop(server);
            assert_eq!(tunnel.await.unwrap(), Ended { closed: closes });
        }
    }

    #[tokio::test]
    async fn a_server_that_is_gone_without_a_word_is_explained() {
        let (mut client, client_end, server, server_end) = ends().await;
        let verdict = std::future::ready(Farewell { code: 1011, reason: "AgentLost".to_owned() });
        let tunnel = tokio::spawn(join(client_end, server_end, None, || {}, pending(), verdict));
        drop(server);
        let mut seen = Vec::new();
        client.read_to_end(&mut seen).await.unwrap();
        assert_eq!(seen, frames::close(1011, "AgentLost"));
        drop(client);
        tunnel.await.unwrap();
    }

    #[tokio::test]
    async fn a_quiet_client_is_pinged() {
        let (mut client, client_end, _server, server_end) = ends().await;
        let ping = Some(Duration::from_millis(1));
        let tunnel = tokio::spawn(join(client_end, server_end, ping, || {}, pending(), pending()));
        let mut seen = [0; 2];
        client.read_exact(&mut seen).await.unwrap();
        assert_eq!(seen.as_slice(), frames::ping());
        tunnel.abort();
    }
}
