//! The same small request over and over, on many connections: a client that costs little beside what it asks.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::{Instant, timeout},
};

const REPLY_TIMEOUT: Duration = Duration::from_secs(30);

/// Asks `path` of `host:port` on so many connections for so long, and gives how many replies of status 200 came in a
/// second. Any other reply is an error.
pub async fn run(
    authority: &str,
    path: &str,
    connections: usize,
    duration: Duration,
) -> Result<f64> {
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(
            LoadConnection::new(authority, path).await.with_context(|| authority.to_owned())?,
        );
    }
    let begun = Instant::now();
    let mut asking = JoinSet::new();
    for asker in open {
        asking.spawn(asker.ask(begun + duration));
    }
    let mut replies = 0;
    while let Some(asked) = asking.join_next().await {
        replies += asked?.with_context(|| authority.to_owned())?;
    }
    Ok(f64::from(replies) / begun.elapsed().as_secs_f64())
}

struct LoadConnection {
    stream: TcpStream,
    request: Vec<u8>,
    /// As long as the first reply was; all are alike.
    reply: Vec<u8>,
}

impl LoadConnection {
    async fn new(authority: &str, path: &str) -> Result<Self> {
        let mut stream = TcpStream::connect(authority).await.context("connect")?;
        stream.set_nodelay(true)?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: {authority}\r\n\r\n").into_bytes();
        stream.write_all(&request).await?;
        let reply = timeout(REPLY_TIMEOUT, first_reply(&mut stream))
            .await
            .context("no reply in time")??;
        Ok(Self { stream, request, reply })
    }

    async fn ask(mut self, until: Instant) -> Result<u32> {
        let mut replies = 0;
        while Instant::now() < until {
            self.stream.write_all(&self.request).await?;
            let reading = self.stream.read_exact(&mut self.reply);
            timeout(REPLY_TIMEOUT, reading).await.context("no reply in time")??;
            check(&self.reply)?;
            replies += 1;
        }
        Ok(replies)
    }
}

fn check(reply: &[u8]) -> Result<()> {
    let is_good = reply.starts_with(b"HTTP/1.1 200 OK\r\n") && reply.ends_with(b"}");
    ensure!(is_good, "{}", String::from_utf8_lossy(reply));
    Ok(())
}

/// The whole of it: its head, and a body whose length the head says.
async fn first_reply(stream: &mut TcpStream) -> Result<Vec<u8>> {
    let mut reply = Vec::new();
    loop {
        ensure!(stream.read_buf(&mut reply).await? > 0, "the connection was closed");
        let text = String::from_utf8_lossy(&reply);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let head = head.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = length.with_context(|| head.clone())?.trim().parse()?;
        if body.len() >= length {
            check(&reply)?;
            return Ok(reply);
        }
    }
}
