//! A WebDriver BiDi client that shows messages as they are.

use std::{collections::VecDeque, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{
        Error, Message,
        client::IntoClientRequest,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

const TIMEOUT: Duration = Duration::from_secs(120);

pub struct Bidi {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    next: u64,
    events: VecDeque<Value>,
}

impl Bidi {
    pub async fn connect(url: &str) -> Result<Self> {
        Self::connect_as(url, None).await
    }

    /// Opens a socket with a bearer token.
    pub async fn connect_as(url: &str, token: Option<&str>) -> Result<Self> {
        let mut request = url.into_client_request().with_context(|| format!("the URL {url}"))?;
        if let Some(token) = token {
            let value = format!("Bearer {token}").parse().context("a token")?;
            request.headers_mut().insert(http::header::AUTHORIZATION, value);
        }
        let (socket, _) = timeout(TIMEOUT, connect_async(request))
            .await
            .context("no answer to the handshake")?
            .with_context(|| format!("connect to {url}"))?;
        Ok(Self { socket, next: 0, events: VecDeque::new() })
    }

    /// The status with which a handshake is refused.
    pub async fn refusal(url: &str) -> Result<u16> {
        match timeout(TIMEOUT, connect_async(url)).await.context("no answer to the handshake")? {
            Ok(_) => bail!("{url} took the handshake"),
            Err(Error::Http(response)) => Ok(response.status().as_u16()),
            Err(error) => Err(error).with_context(|| format!("connect to {url}")),
        }
    }

    /// Sends a text message as it is.
    pub async fn send_text(&mut self, text: impl Into<String>) -> Result<()> {
        self.socket.send(Message::text(text.into())).await.context("send")
    }

    /// The next message that is no event.
    pub async fn next_reply(&mut self) -> Result<Value> {
        loop {
            let message = self.next().await?;
            if message["type"] == "event" {
                self.events.push_back(message);
            } else {
                return Ok(message);
            }
        }
    }

    async fn next(&mut self) -> Result<Value> {
        loop {
            let message =
                timeout(TIMEOUT, self.socket.next()).await.context("no message in time")?;
            match message.context("the socket is closed")?.context("receive")? {
                Message::Text(text) => {
                    return serde_json::from_str(&text)
                        .with_context(|| format!("a message that is no JSON: {text}"));
                }
                Message::Close(frame) => bail!("the socket was closed: {frame:?}"),
                _ => {}
            }
        }
    }

    /// Sends a command and returns the whole reply.
    pub async fn send_command(&mut self, method: &str, params: Value) -> Result<Value> {
        self.next += 1;
        let id = self.next;
        self.send_text(json!({"id": id, "method": method, "params": params}).to_string()).await?;
        let reply = self.next_reply().await.with_context(|| format!("the reply to {method}"))?;
        ensure!(reply["id"] == id, "{method}: the reply has another id: {reply}");
        Ok(reply)
    }

    /// Sends a command that must succeed, and returns its result.
    pub async fn command(&mut self, method: &str, params: Value) -> Result<Value> {
        let mut reply = self.send_command(method, params).await?;
        ensure!(reply["type"] == "success", "{method}: {reply}");
        Ok(reply["result"].take())
    }

    /// Sends a command that must fail, and returns its error code.
    pub async fn failure(&mut self, method: &str, params: Value) -> Result<String> {
        let reply = self.send_command(method, params).await?;
        ensure!(reply["type"] == "error", "{method}: {reply}");
        Ok(reply["error"].as_str().context("the error's code")?.to_owned())
    }

    pub async fn event(&mut self, method: &str) -> Result<Value> {
        loop {
            let event = match self.events.pop_front() {
                Some(event) => event,
                None => self.next().await.with_context(|| format!("event {method}"))?,
            };
            if event["method"] == method {
                return Ok(event["params"].clone());
            }
        }
    }

    /// Events received so far and not yet returned by [`Self::event`], in order.
    pub fn events_so_far(&mut self) -> Vec<Value> {
        self.events.drain(..).collect()
    }

    /// The first top-level browsing context.
    pub async fn context(&mut self) -> Result<String> {
        let tree = self.command("browsingContext.getTree", json!({})).await?;
        Ok(tree["contexts"][0]["context"].as_str().context("a context")?.to_owned())
    }

    /// Opens a page in the first context and returns that context.
    pub async fn open(&mut self, url: &str) -> Result<String> {
        let context = self.context().await?;
        let params = json!({"context": context, "url": url, "wait": "complete"});
        self.command("browsingContext.navigate", params).await?;
        Ok(context)
    }

    /// The value of an expression in a page.
    pub async fn evaluate(&mut self, context: &str, expression: &str) -> Result<Value> {
        let params = json!({
            "expression": expression, "target": {"context": context}, "awaitPromise": true,
        });
        let result = self.command("script.evaluate", params).await?;
        ensure!(result["type"] == "success", "{expression}: {result}");
        Ok(result["result"]["value"].clone())
    }

    /// A screenshot as PNG.
    pub async fn screenshot(&mut self, context: &str) -> Result<Vec<u8>> {
        let shot =
            self.command("browsingContext.captureScreenshot", json!({"context": context})).await?;
        let data = shot["data"].as_str().context("a picture")?;
        BASE64_STANDARD.decode(data).context("a picture in base64")
    }

    /// Waits for the other end's Close frame.
    pub async fn closed(&mut self, limit: Duration) -> Result<Option<CloseFrame>> {
        let closing = async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Close(frame))) => return Ok(frame),
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Err(error).context("the socket broke"),
                    None => bail!("the socket ended without a Close frame"),
                }
            }
        };
        timeout(limit, closing).await.with_context(|| format!("no Close frame within {limit:?}"))?
    }

    /// Sends a Close frame and waits for the answer.
    pub async fn close(mut self) -> Result<()> {
        let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        self.socket.close(Some(frame)).await.context("send a Close frame")?;
        self.closed(Duration::from_secs(10)).await.map(drop)
    }
}

pub fn png_size(bytes: &[u8]) -> Result<(u32, u32)> {
    let header = bytes.strip_prefix(b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR").context("no PNG")?;
    let number = |at: usize| -> Result<u32> {
        let bytes = header.get(at..at + 4).context("a PNG that breaks off")?;
        Ok(u32::from_be_bytes(bytes.try_into()?))
    };
    Ok((number(0)?, number(4)?))
}
