//! Clients that add little to what is measured through them: one connection each, without a pool and without a task.

use std::{
    future::Future,
    pin::{Pin, pin},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use futures::{FutureExt, SinkExt, StreamExt, future::Fuse, stream};
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{Message, Utf8Bytes, protocol::WebSocketConfig},
};

/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);
/// The largest message that a socket takes.
const MAX_MESSAGE: usize = 1 << 30;
/// Read and write buffer of a socket, in bytes.
const BUFFER: usize = 16 << 10;

pub type Body = UnsyncBoxBody<Bytes, hyper::Error>;

/// A body that is generated in pieces, on demand.
pub fn body(pieces: impl Iterator<Item = Bytes> + Send + 'static) -> Body {
    StreamBody::new(stream::iter(pieces.map(|piece| Ok(Frame::data(piece))))).boxed_unsync()
}

type Http = Fuse<Pin<Box<http1::Connection<TokioIo<TcpStream>, Body>>>>;

/// A connection of HTTP/1.1, for one request after another.
pub struct Connection {
    authority: String,
    sender: SendRequest<Body>,
    connection: Http,
}

impl Connection {
    /// Connects to `host:port`.
    pub async fn open(authority: &str) -> Result<Self> {
        let stream = TcpStream::connect(authority).await;
        let stream = stream.with_context(|| format!("connect to {authority}"))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let connection = Box::pin(connection).fuse();
        Ok(Self { authority: authority.to_owned(), sender, connection })
    }

    /// Sends a command, and gives the whole reply, which must be of status 200.
    pub async fn ask(&mut self, method: &Method, path: &str, text: &'static str) -> Result<Bytes> {
        let body = Full::from(text).map_err(|never| match never {}).boxed_unsync();
        let reply = self.send(method, path, text.len() as u64, body).await?;
        let status = reply.status();
        let whole = self.run(reply.into_body().collect()).await?.to_bytes();
        ensure!(status == StatusCode::OK, "{method} {path}: {status} {whole:?}");
        Ok(whole)
    }

    /// Sends a command with a body of `length` bytes, and gives the reply as soon as its head is there.
    pub async fn send(
        &mut self,
        method: &Method,
        path: &str,
        length: u64,
        body: Body,
    ) -> Result<Response<Incoming>> {
        let mut request =
            Request::builder().method(method).uri(path).header(header::HOST, &self.authority);
        if method == Method::POST {
            request = request
                .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
                .header(header::CONTENT_LENGTH, length);
        }
        let request = request.body(body).context("a request")?;
        let sending = self.sender.send_request(request);
        run(&mut self.connection, sending).await.with_context(|| format!("{method} {path}"))
    }

    /// Sends any request, and gives the whole reply, whatever its status.
    pub async fn exchange(
        &mut self,
        request: http::request::Builder,
        text: &str,
    ) -> Result<Response<Bytes>> {
        let body = Full::from(text.to_owned()).map_err(|never| match never {}).boxed_unsync();
        let request = request
            .header(header::HOST, &self.authority)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONTENT_LENGTH, text.len())
            .body(body)
            .context("a request")?;
        let sending = self.sender.send_request(request);
        let (head, body) = run(&mut self.connection, sending).await?.into_parts();
        let whole = self.run(body.collect()).await?.to_bytes();
        Ok(Response::from_parts(head, whole))
    }

    /// The next piece of a reply; `None` at its end.
    pub async fn piece(&mut self, reply: &mut Incoming) -> Result<Option<Bytes>> {
        match self.run(async { reply.frame().await.transpose() }).await? {
            Some(frame) => Ok(Some(frame.into_data().unwrap_or_default())),
            None => Ok(None),
        }
    }

    async fn run<T>(&mut self, work: impl Future<Output = hyper::Result<T>>) -> Result<T> {
        run(&mut self.connection, work).await.context("the reply")
    }
}

/// Works on a connection and at what waits for it.
async fn run<T>(connection: &mut Http, work: impl Future<Output = hyper::Result<T>>) -> Result<T> {
    let mut work = pin!(work);
    let working = async {
        tokio::select! {
            biased;
            outcome = &mut work => outcome,
            ended = connection => match ended {
                // It may have ended behind its last reply.
                Ok(()) => work.await,
                Err(error) => Err(error),
            },
        }
    };
    Ok(timeout(ANSWER_TIMEOUT, working).await.context("no answer in time")??)
}

/// A WebSocket, for messages of any size.
pub struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    pub async fn open(url: &str) -> Result<Self> {
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE))
            .read_buffer_size(BUFFER)
            .write_buffer_size(BUFFER);
        // True: no delay for small messages.
        let connecting = connect_async_with_config(url, Some(config), true);
        let (socket, _) = timeout(ANSWER_TIMEOUT, connecting)
            .await
            .context("no answer to the handshake")?
            .context("open a socket")?;
        Ok(Self(socket))
    }

    /// Sends a message, and gives the next one that comes.
    pub async fn ask(&mut self, message: impl Into<Utf8Bytes>) -> Result<Utf8Bytes> {
        let exchange = async {
            self.0.send(Message::Text(message.into())).await.context("send")?;
            loop {
                match self.0.next().await.context("the socket is closed")?.context("receive")? {
                    Message::Text(text) => return Ok(text),
                    Message::Close(frame) => bail!("the socket was closed: {frame:?}"),
                    _ => {}
                }
            }
        };
        timeout(ANSWER_TIMEOUT, exchange).await.context("no message in time")?
    }
}
