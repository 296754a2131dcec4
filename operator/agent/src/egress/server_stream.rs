//! A connection to a server, or to an upstream before it.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use hyper_util::client::legacy::connect::{Connected, Connection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use super::counted::Counted;

#[derive(Debug)]
pub struct ServerStream {
    /// The right one has TLS to an upstream.
    stream: Either<Counted, Box<TlsStream<Counted>>>,
    /// Whether an HTTP proxy is at the other end, which wants whole URLs.
    to_http_proxy: bool,
}

impl ServerStream {
    pub fn with_http_proxy(self) -> Self {
        Self { to_http_proxy: true, ..self }
    }
}

impl From<Counted> for ServerStream {
    fn from(stream: Counted) -> Self {
        Self { stream: Either::Left(stream), to_http_proxy: false }
    }
}

impl From<TlsStream<Counted>> for ServerStream {
    fn from(stream: TlsStream<Counted>) -> Self {
        Self { stream: Either::Right(Box::new(stream)), to_http_proxy: false }
    }
}

impl Connection for ServerStream {
    fn connected(&self) -> Connected {
        Connected::new().proxy(self.to_http_proxy)
    }
}

impl AsyncRead for ServerStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for ServerStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
