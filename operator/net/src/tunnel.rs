//! Tunnels: a WebSocket's bytes are carried both ways, over any transport, without looking at them.

use std::{
    future::{Future, pending},
    io,
    mem::MaybeUninit,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf, ReadHalf, WriteHalf, split},
    time::{sleep, timeout},
};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use crate::{
    frames::{self, FrameTracker},
    transport::Io,
};

/// How much is read at a time.
const BUFFER: usize = 16 * 1024;
/// How long a client may take to read what is there for it.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// How long one end may take when the other is done.
const LINGER: Duration = Duration::from_secs(2);
/// How long it may take to learn why the server is gone.
const LOSS_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection that HTTP has given up to another protocol.
pub type UpgradedIo = TokioIo<Upgraded>;

/// One end of a tunnel.
#[derive(Debug)]
pub struct Endpoint<T = UpgradedIo> {
    pub io: T,
    /// What has been read from it and is still to be carried.
    pub read: Bytes,
}

impl Endpoint {
    /// The connection of an upgraded request or reply.
    ///
    /// # Errors
    /// The other side never switched protocols.
    pub async fn upgraded(upgrade: OnUpgrade) -> Result<Self, hyper::Error> {
        // What hyper has read ahead comes with the first read, which also frees its buffer.
        Ok(Self { io: TokioIo::new(upgrade.await?), read: Bytes::new() })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Whether the client sent a Close frame.
    pub closed: bool,
}

/// Carries bytes both ways until one end is done and the other has been told. `cut` ends the tunnel from here: its Close frame,
/// if it has one, goes to the client where a frame ends. With `ping`, a client to which nothing went for so long gets one. `used` is called
/// whenever a message went by. Where the server vanishes without a Close frame, `loss` says why, if it comes soon.
/// An idle tunnel holds no buffer.
pub async fn relay(
    client: Endpoint<impl Io>,
    server: Endpoint<impl Io>,
    ping: Option<Duration>,
    used: impl Fn(),
    cut: impl Future<Output = Option<CloseFrame>>,
    loss: impl Future<Output = Option<CloseFrame>>,
) -> Ended {
    let mut from_client = FrameTracker::default();
    let (mut client_in, mut client_out) = split(client.io);
    let (mut server_in, mut server_out) = split(server.io);
    let outcome = {
        let up = up(&mut client_in, &mut server_out, client.read, &mut from_client, &used);
        let down = down(&mut server_in, &mut client_out, server.read, ping, &used, cut, loss);
        let (mut up, mut down) = (pin!(up), pin!(down));
        // When one is done, the other may still have a few last bytes, and an answer to a Close frame.
        tokio::select! {
            outcome = &mut up => {
                // A server that reads nothing more may have sent something before it went.
                let last = timeout(LINGER + LOSS_TIMEOUT, down).await.unwrap_or(Ok(Down::Done));
                outcome.and(last)
            }
            outcome = &mut down => match outcome {
                Ok(Down::Done) => timeout(LINGER, up).await.unwrap_or(Ok(())).map(|()| Down::Done),
                other => other,
            },
        }
    };
    drop((server_in, server_out));
    match outcome {
        Ok(Down::Done) => {}
        // What the client answers to the Close frame is not for the server, which sent none.
        Ok(Down::Cut) => wait_for_close(&mut client_in).await,
        Err(error) => tracing::debug!(error = &error as &dyn std::error::Error, "tunnel broke"),
    }
    Ended { closed: from_client.closed() }
}

/// Waits until a client that got a Close frame closes its connection, and reads what it still sends: a connection that is
/// closed with unread bytes may take the Close frame with it.
pub async fn wait_for_close(client: &mut (impl AsyncRead + Unpin)) {
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
    from: &mut ReadHalf<impl Io>,
    to: &mut WriteHalf<impl Io>,
    read: Bytes,
    frames: &mut FrameTracker,
    used: &impl Fn(),
) -> io::Result<()> {
    frames.pass(&read);
    write(to, &read).await?;
    drop(read);
    loop {
        let passed = pass(from, to, |bytes| {
            if frames.pass(bytes) {
                used();
            }
        });
        match passed.await? {
            Passed::All => {}
            Passed::Unwritten(rest) => write(to, &rest).await?,
            Passed::End(end) => {
                end?;
                return to.shutdown().await;
            }
        }
    }
}

/// From the server to the client, until the server is done or the tunnel is cut.
async fn down(
    from: &mut ReadHalf<impl Io>,
    to: &mut WriteHalf<impl Io>,
    read: Bytes,
    ping: Option<Duration>,
    used: &impl Fn(),
    cut: impl Future<Output = Option<CloseFrame>>,
    loss: impl Future<Output = Option<CloseFrame>>,
) -> io::Result<Down> {
    let (mut frames, mut close) = (FrameTracker::default(), None);
    let mut cut = pin!(cut);
    if frames.pass(&read) {
        used();
    }
    let mut unwritten = Some(read.to_vec());
    drop(read);
    loop {
        if let Some(bytes) = unwritten {
            let written = {
                let mut writing = pin!(write(to, &bytes));
                tokio::select! {
                    written = timeout(READ_TIMEOUT, &mut writing) => written,
                    frame = &mut cut, if close.is_none() => {
                        close = Some(frame);
                        timeout(LINGER, writing).await
                    }
                }
            };
            match written {
                Ok(written) => written?,
                // It reads nothing: no Close frame would reach it either.
                Err(_) if close.is_some() => return Ok(Down::Cut),
                Err(_) => {
                    return Err(io::Error::new(
                        io::ErrorKind::TimedOut,
                        "the client does not read",
                    ));
                }
            }
        }
        if let Some(frame) = &close
            && frames.at_boundary()
        {
            if let Some(frame) = frame
                && !frames.closed()
            {
                write(to, &frames::close(frame)).await?;
            }
            return to.shutdown().await.map(|()| Down::Cut);
        }
        let quiet = async {
            match ping {
                Some(quiet) => sleep(quiet).await,
                None => pending().await,
            }
        };
        let (is_closing, is_closed) = (close.is_some(), frames.closed());
        let at_boundary = frames.at_boundary();
        let passed = pass(from, to, |bytes| {
            if frames.pass(bytes) {
                used();
            }
        });
        unwritten = tokio::select! {
            passed = passed => match passed? {
                Passed::All => None,
                Passed::Unwritten(rest) => Some(rest),
                // It closed its connection, or that broke.
                Passed::End(_) if is_closed || !at_boundary => {
                    return to.shutdown().await.map(|()| Down::Done);
                }
                Passed::End(_) => {
                    let Ok(Some(frame)) = timeout(LOSS_TIMEOUT, loss).await else {
                        return to.shutdown().await.map(|()| Down::Done);
                    };
                    write(to, &frames::close(&frame)).await?;
                    return to.shutdown().await.map(|()| Down::Cut);
                }
            },
            frame = &mut cut, if !is_closing => {
                close = Some(frame);
                None
            }
            // What does not finish its frame after the cut never will.
            () = sleep(LINGER), if is_closing => {
                return to.shutdown().await.map(|()| Down::Cut);
            }
            // Nothing may follow a Close frame (section 5.5.1).
            () = quiet, if at_boundary && !is_closed => Some(frames::ping()),
        };
    }
}

/// What became of what was read.
enum Passed {
    /// All of it is written.
    All,
    /// This part is not written yet.
    Unwritten(Vec<u8>),
    /// Nothing more comes: the end of the stream, or an error.
    End(io::Result<()>),
}

/// Carries on what has come, once. `seen` gets the bytes before they are written. The buffer is on the stack, so that a
/// connection which waits holds none, and a reader that keeps up costs no copy.
async fn pass(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    mut seen: impl FnMut(&[u8]),
) -> io::Result<Passed> {
    std::future::poll_fn(|cx| poll_pass(cx, Pin::new(from), Pin::new(to), &mut seen)).await
}

fn poll_pass(
    cx: &mut Context<'_>,
    from: Pin<&mut impl AsyncRead>,
    mut to: Pin<&mut impl AsyncWrite>,
    seen: &mut impl FnMut(&[u8]),
) -> Poll<io::Result<Passed>> {
    let mut buffer = [MaybeUninit::uninit(); BUFFER];
    let mut buffer = ReadBuf::uninit(&mut buffer);
    if let Err(error) = ready!(from.poll_read(cx, &mut buffer)) {
        return Poll::Ready(Ok(Passed::End(Err(error))));
    }
    let bytes = buffer.filled();
    if bytes.is_empty() {
        return Poll::Ready(Ok(Passed::End(Ok(()))));
    }
    seen(bytes);
    // What was read must not get lost: from here on the answer is `Ready`.
    let written = match to.as_mut().poll_write(cx, bytes) {
        Poll::Ready(written) => written?,
        Poll::Pending => 0,
    };
    if written < bytes.len() {
        return Poll::Ready(Ok(Passed::Unwritten(bytes[written..].to_vec())));
    }
    Poll::Ready(match to.poll_flush(cx) {
        Poll::Ready(flushed) => flushed.map(|()| Passed::All),
        Poll::Pending => Ok(Passed::Unwritten(Vec::new())),
    })
}

async fn write(to: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    to.write_all(bytes).await?;
    to.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, DuplexStream};

    fn close_frame(code: u16, reason: &str) -> CloseFrame {
        CloseFrame { code: code.into(), reason: reason.into() }
    }

    /// Both ends of a tunnel, as client and server see them, and the tunnel's own ends.
    fn ends() -> (DuplexStream, Endpoint<DuplexStream>, DuplexStream, Endpoint<DuplexStream>) {
        let (client, client_end) = tokio::io::duplex(64 << 10);
        let (server, server_end) = tokio::io::duplex(64 << 10);
        let endpoint = |io| Endpoint { io, read: Bytes::new() };
        (client, endpoint(client_end), server, endpoint(server_end))
    }

    #[tokio::test(start_paused = true)]
    async fn a_cut_waits_for_the_end_of_a_frame() {
        let (mut client, client_end, mut server, server_end) = ends();
        let (send, when) = tokio::sync::oneshot::channel::<()>();
        let cut = async {
            let _ = when.await;
            Some(close_frame(1001, "bye"))
        };
        let tunnel = tokio::spawn(relay(client_end, server_end, None, || {}, cut, pending()));
        // A frame of four bytes, in two pieces.
        server.write_all(&[0x81, 4, b'a', b'b']).await.unwrap();
        let mut seen = [0; 4];
        client.read_exact(&mut seen).await.unwrap();
        send.send(()).unwrap();
        server.write_all(b"cd").await.unwrap();
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, [b"cd".as_slice(), &frames::close(&close_frame(1001, "bye"))].concat());
        drop(client);
        assert_eq!(tunnel.await.unwrap(), Ended { closed: false });
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_nothing_does_not_keep_its_tunnel() {
        let (client, client_end, mut server, server_end) = ends();
        let (send, when) = tokio::sync::oneshot::channel::<()>();
        let cut = async {
            let _ = when.await;
            Some(close_frame(1001, "bye"))
        };
        let tunnel = tokio::spawn(relay(client_end, server_end, None, || {}, cut, pending()));
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

    #[tokio::test(start_paused = true)]
    async fn a_goodbye_is_told_from_a_drop() {
        for closes in [true, false] {
            let (mut client, client_end, mut server, server_end) = ends();
            let never = pending::<Option<CloseFrame>>();
            let tunnel = tokio::spawn(relay(client_end, server_end, None, || {}, never, pending()));
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

    #[tokio::test(start_paused = true)]
    async fn a_server_that_is_gone_without_a_word_is_explained() {
        let (mut client, client_end, server, server_end) = ends();
        let loss = std::future::ready(Some(close_frame(1011, "AgentLost")));
        let tunnel = tokio::spawn(relay(client_end, server_end, None, || {}, pending(), loss));
        drop(server);
        let mut seen = Vec::new();
        client.read_to_end(&mut seen).await.unwrap();
        assert_eq!(seen, frames::close(&close_frame(1011, "AgentLost")));
        drop(client);
        tunnel.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_no_control_frames_only_loses_its_connection() {
        for cuts in [true, false] {
            let (mut client, client_end, mut server, server_end) = ends();
            let cut = async move { if cuts { None } else { pending().await } };
            let loss = std::future::ready(None);
            server.write_all(&[0x81, 1, b'a']).await.unwrap();
            let tunnel = tokio::spawn(relay(client_end, server_end, None, || {}, cut, loss));
            if !cuts {
                drop(server);
            }
            let mut seen = Vec::new();
            client.read_to_end(&mut seen).await.unwrap();
            let whole = [0x81, 1, b'a'];
            assert!(seen == whole || cuts && seen.is_empty(), "{seen:?}");
            drop(client);
            assert_eq!(tunnel.await.unwrap(), Ended { closed: false });
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_quiet_client_is_pinged() {
        let (mut client, client_end, _server, server_end) = ends();
        let ping = Some(Duration::from_millis(1));
        let tunnel = tokio::spawn(relay(client_end, server_end, ping, || {}, pending(), pending()));
        let mut seen = [0; 2];
        client.read_exact(&mut seen).await.unwrap();
        assert_eq!(seen.as_slice(), frames::ping());
        tunnel.abort();
    }
}
