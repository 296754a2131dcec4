//! A WebSocket endpoint of the driver or the browser, inside the container.

use std::net::Ipv4Addr;

use tokio::net::TcpStream;
use tokio_tungstenite::{WebSocketStream, client_async_with_config, tungstenite};
use url::Url;

use crate::websocket;

/// A socket to the driver or the browser, over loopback.
pub type BrowserSocket = WebSocketStream<TcpStream>;

/// A port of 127.0.0.1, and a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub port: u16,
    pub path: String,
}

impl Endpoint {
    /// The endpoint of a URL that the driver gave.
    pub fn from_url(url: &str) -> Option<Self> {
        let url = Url::parse(url).ok()?;
        Some(Self { port: url.port()?, path: url.path().to_owned() })
    }

    /// The endpoint at a `host:port` of this machine.
    pub fn from_address(address: &str) -> Option<Self> {
        let (_, port) = address.rsplit_once(':')?;
        Some(Self { port: port.parse().ok()?, path: "/".to_owned() })
    }

    /// Opens a WebSocket to it.
    pub async fn open(&self) -> Result<BrowserSocket, tungstenite::Error> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await?;
        stream.set_nodelay(true)?;
        let (socket, _) =
            client_async_with_config(self.url(), stream, Some(websocket::config())).await?;
        Ok(socket)
    }

    pub fn url(&self) -> String {
        format!("ws://{}{}", self.authority(), self.path)
    }

    /// The Host that drivers and browsers demand of their clients.
    pub fn authority(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}
