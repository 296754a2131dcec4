//! A transport that tells what its connection does, and ends one whose request does not come or whose answer is not taken.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep, sleep_until},
};

use crate::{
    activity::{Activity, Phase},
    transport::Io,
};

/// How long a client may take to read [`LEAST_READ`] bytes of what is there for it: a reader that stops would keep its answer,
/// and a place, for ever. As in tunnels.
const READ_TIMEOUT: Duration = Duration::from_secs(120);
const LEAST_READ: usize = 16 << 10;

pub struct Watched<T> {
    io: T,
    activity: Arc<Activity>,
    /// How long the headers of a request may take.
    headers: Duration,
    /// Set only while headers are awaited.
    late: Option<Pin<Box<Sleep>>>,
    /// Set only while the client does not take all that is there for it.
    unread: Option<Unread>,
}

struct Unread {
    late: Pin<Box<Sleep>>,
    /// How many bytes it has taken since.
    taken: usize,
}

impl<T> Watched<T> {
    pub fn new(io: T, activity: Arc<Activity>, headers: Duration) -> Self {
        Self { io, activity, headers, late: None, unread: None }
    }

    /// Looks at what a write of `offered` bytes came to: an error once the client takes too little.
    fn check_write(
        &mut self,
        cx: &mut Context<'_>,
        offered: usize,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Ready(Ok(taken)) if *taken < offered => {
                if let Some(unread) = &mut self.unread {
                    unread.taken += taken;
                    if unread.taken >= LEAST_READ {
                        self.unread = None;
                    }
                }
                written
            }
            Poll::Ready(_) => {
                self.unread = None;
                written
            }
            Poll::Pending => {
                let unread = self.unread.get_or_insert_with(|| Unread {
                    late: Box::pin(sleep(READ_TIMEOUT)),
                    taken: 0,
                });
                ready!(unread.late.as_mut().poll(cx));
                Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the client does not read",
                )))
            }
        }
    }

    /// Ready with an error once the headers that are under way are late.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !matches!(self.activity.phase(), Phase::New | Phase::Reading) {
            self.late = None;
            return Poll::Pending;
        }
        let deadline = self.activity.since() + self.headers;
        let late = self.late.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if late.deadline() != deadline {
            late.as_mut().reset(deadline);
        }
        ready!(late.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the headers did not come in time",
        )))
    }
}

impl<T: Io> AsyncRead for Watched<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        match Pin::new(&mut this.io).poll_read(cx, buffer) {
            Poll::Pending => this.poll_late(cx),
            ready => {
                // What comes while a request is served is its body, a tunnel's, or read again as the next request's.
                if buffer.filled().len() > before
                    && matches!(this.activity.phase(), Phase::New | Phase::Waiting)
                {
                    this.activity.set(Phase::Reading);
                }
                ready
            }
        }
    }
}

impl<T: Io> AsyncWrite for Watched<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.check_write(cx, bytes.len(), written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, slices);
        self.check_write(cx, slices.iter().map(|slice| slice.len()).sum(), written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
