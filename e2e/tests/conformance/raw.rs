//! HTTP and WebSocket as bytes, for what no client library would send.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// After this silence a connection counts as left open.
const SILENCE: Duration = Duration::from_secs(2);
/// Any 16 bytes in base64 will do.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// Text frame.
pub const TEXT: u8 = 0x1;
/// Binary frame.
pub const BINARY: u8 = 0x2;
/// Close frame.
pub const CLOSE: u8 = 0x8;
pub const PING: u8 = 0x9;
pub const PONG: u8 = 0xA;
/// The bit of a message's last frame.
const LAST: u8 = 0x80;

pub struct Http {
    pub bytes: Vec<u8>,
    /// Whether the server closed it.
    pub closed: bool,
}

#[derive(Debug)]
pub struct RawReply {
    pub status: u16,
    /// The headers, their names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl RawReply {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Connects to the gateway.
pub async fn dial(url: &str) -> Result<TcpStream> {
    let url = reqwest::Url::parse(url).context("the gateway's URL")?;
    let host = url.host_str().context("the gateway's host")?;
    let port = url.port_or_known_default().context("the gateway's port")?;
    TcpStream::connect((host, port)).await.context("connect to the gateway")
}

impl Http {
    /// Sends bytes, and reads until the server closes the connection or falls silent.
    pub async fn talk(url: &str, bytes: &[u8]) -> Result<Self> {
        let mut stream = dial(url).await?;
        stream.write_all(bytes).await.context("send")?;
        let mut heard = Vec::new();
        let mut limit = ANSWER_TIMEOUT;
        loop {
            match timeout(limit, stream.read_buf(&mut heard)).await {
                Err(_) => return Ok(Self { bytes: heard, closed: false }),
                // A reset is a close as well.
                Ok(Ok(0) | Err(_)) => return Ok(Self { bytes: heard, closed: true }),
                Ok(Ok(_)) => limit = SILENCE,
            }
        }
    }

    /// The only reply.
    pub fn reply(&self) -> Result<RawReply> {
        let mut replies = self.replies()?;
        ensure!(replies.len() == 1, "{} replies", replies.len());
        replies.pop().context("a reply")
    }

    /// The reply to a HEAD, which ends with its headers.
    pub fn headless(&self) -> Result<RawReply> {
        let (mut reply, rest) = head(&self.bytes)?;
        reply.body = rest.to_vec();
        Ok(reply)
    }

    pub fn replies(&self) -> Result<Vec<RawReply>> {
        let mut replies = Vec::new();
        let mut rest = self.bytes.as_slice();
        while !rest.is_empty() {
            let (mut reply, after) = head(rest)?;
            (reply.body, rest) = body(&reply, after)?;
            replies.push(reply);
        }
        Ok(replies)
    }
}

fn split<'a>(bytes: &'a [u8], mark: &[u8]) -> Result<(&'a [u8], &'a [u8])> {
    let at = bytes.windows(mark.len()).position(|window| window == mark);
    let at =
        at.with_context(|| format!("a reply breaks off: {}", String::from_utf8_lossy(bytes)))?;
    Ok((&bytes[..at], &bytes[at + mark.len()..]))
}

fn head(bytes: &[u8]) -> Result<(RawReply, &[u8])> {
    let (head, rest) = split(bytes, b"\r\n\r\n")?;
    let head = std::str::from_utf8(head).context("a reply's head")?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let headers = lines.filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    });
    let headers = headers.collect();
    Ok((RawReply { status: status.context("a status")?, headers, body: Vec::new() }, rest))
}

fn body<'a>(reply: &RawReply, bytes: &'a [u8]) -> Result<(Vec<u8>, &'a [u8])> {
    if let Some(length) = reply.header("content-length") {
        let length: usize = length.parse().context("content-length")?;
        ensure!(length <= bytes.len(), "a reply breaks off");
        return Ok((bytes[..length].to_vec(), &bytes[length..]));
    }
    if reply.header("transfer-encoding") != Some("chunked") {
        return Ok((bytes.to_vec(), &[]));
    }
    let (mut body, mut rest) = (Vec::new(), bytes);
    loop {
        let (size, after) = split(rest, b"\r\n")?;
        let size =
            usize::from_str_radix(std::str::from_utf8(size)?.trim(), 16).context("a chunk")?;
        ensure!(size + 2 <= after.len(), "a chunk breaks off");
        body.extend_from_slice(&after[..size]);
        rest = &after[size + 2..];
        if size == 0 {
            return Ok((body, rest));
        }
    }
}

/// A WebSocket whose frames are written by hand.
pub struct Frames {
    stream: TcpStream,
    heard: Vec<u8>,
}

impl Frames {
    /// Opens a socket at a path of the gateway.
    pub async fn open(url: &str, path: &str) -> Result<Self> {
        let (stream, reply, heard) = handshake(url, path, &[]).await?;
        ensure!(reply.status == 101, "the handshake got {}", reply.status);
        Ok(Self { stream, heard })
    }

    /// Sends bytes as they are.
    pub async fn raw(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).await.context("send")
    }

    /// Sends one whole message.
    pub async fn message(&mut self, kind: u8, payload: &[u8]) -> Result<()> {
        self.raw(&frame(kind, true, payload)).await
    }

    /// The next frame's kind and payload; no frame where the connection was closed.
    pub async fn frame(&mut self) -> Result<Option<(u8, Vec<u8>)>> {
        loop {
            if let Some((kind, payload, length)) = parse(&self.heard) {
                self.heard.drain(..length);
                return Ok(Some((kind, payload)));
            }
            let read = timeout(ANSWER_TIMEOUT, self.stream.read_buf(&mut self.heard));
            match read.await.context("no frame in time")? {
                Ok(0) | Err(_) => return Ok(None),
                Ok(_) => {}
            }
        }
    }

    /// The next message that is no event and no ping.
    pub async fn next_reply(&mut self) -> Result<Value> {
        loop {
            match self.frame().await? {
                Some((TEXT, payload)) => {
                    let message: Value = serde_json::from_slice(&payload).context("a message")?;
                    if message["type"] != "event" {
                        return Ok(message);
                    }
                }
                Some((PING | PONG, _)) => {}
                Some((kind, payload)) => bail!("frame {kind} {payload:?}"),
                None => bail!("the connection is closed"),
            }
        }
    }

    /// The code of the Close frame that must come next, and the end of the connection after it.
    pub async fn close_code(&mut self) -> Result<Option<u16>> {
        loop {
            match self.frame().await? {
                Some((CLOSE, payload)) => {
                    return Ok(payload.first_chunk().map(|code| u16::from_be_bytes(*code)));
                }
                Some(_) => {}
                None => bail!("the connection ended without a Close frame"),
            }
        }
    }

    /// Checks that the socket is as good as before: a command gets its reply.
    pub async fn is_alive(&mut self) -> Result<()> {
        let status = json!({"id": 4711, "method": "session.status", "params": {}});
        self.message(TEXT, status.to_string().as_bytes()).await?;
        let reply = self.next_reply().await.context("session.status")?;
        ensure!(reply["id"] == 4711 && reply["type"] == "success", "session.status: {reply}");
        Ok(())
    }
}

/// Asks for a socket, with more headers; gives the connection, the reply to the handshake, and what came behind it.
pub async fn handshake(
    url: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> Result<(TcpStream, RawReply, Vec<u8>)> {
    let mut all = vec![
        ("Host", "gateway"),
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", KEY),
    ];
    // An empty value takes a header away.
    all.retain(|(name, _)| !headers.iter().any(|(other, _)| name == other));
    all.extend(headers.iter().filter(|(_, value)| !value.is_empty()));
    let lines: String = all.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let request = format!("GET {path} HTTP/1.1\r\n{lines}\r\n");
    let mut stream = dial(url).await?;
    stream.write_all(request.as_bytes()).await.context("send")?;
    let mut heard = Vec::new();
    while split(&heard, b"\r\n\r\n").is_err() {
        let read = timeout(ANSWER_TIMEOUT, stream.read_buf(&mut heard));
        let count = read.await.context("no answer to the handshake")?.context("receive")?;
        ensure!(count > 0, "the handshake got no answer");
    }
    let (reply, rest) = head(&heard)?;
    Ok((stream, reply, rest.to_vec()))
}

/// A frame as a client sends it: masked.
pub fn frame(kind: u8, last: bool, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x12, 0x34, 0x56, 0x78];
    let mut bytes = vec![kind | if last { LAST } else { 0 }];
    match payload.len() {
        length @ 0..126 => bytes.push(0x80 | length as u8),
        length @ 126..0x1_0000 => {
            bytes.push(0x80 | 126);
            bytes.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            bytes.push(0x80 | 127);
            bytes.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(&MASK);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// The first frame of a server: its kind, its payload, and how many bytes it takes.
fn parse(bytes: &[u8]) -> Option<(u8, Vec<u8>, usize)> {
    let (first, second) = (*bytes.first()?, *bytes.get(1)?);
    let (length, start) = match second & 0x7F {
        126 => (u64::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)), 4),
        127 => (u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?), 10),
        length => (u64::from(length), 2),
    };
    let end = start + usize::try_from(length).ok()?;
    Some((first & 0x0F, bytes.get(start..end)?.to_vec(), end))
}
