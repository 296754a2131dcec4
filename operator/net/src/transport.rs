//! What traffic runs over: any byte stream, so that a connection may be TCP, TLS, or a pipe in a test.

use std::{future::Future, io};

use tokio::io::{AsyncRead, AsyncWrite};

/// A byte stream both ways.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Io for T {}

/// How a connection to one peer is opened.
pub trait Dial: Clone + Send + Sync + 'static {
    type Io: Io;

    fn dial(&self) -> impl Future<Output = io::Result<Self::Io>> + Send;
}
