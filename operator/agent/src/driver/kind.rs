//! The drivers that there are, and where they differ.

use std::{net::Ipv4Addr, path::PathBuf};

use agent_api::bind::{Driver, NewSession};
use futures::{SinkExt, StreamExt};
use net::BoxError;
use serde_json::{Map, Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{self, Message},
};

use super::{chrome, firefox};
use crate::socket;

/// How this container runs its browser.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which driver it has.
    pub driver: Driver,
    /// The browser's program; the driver's own choice if absent.
    pub browser: Option<PathBuf>,
    /// Whether the browser's own sandbox is used.
    pub browser_sandbox: bool,
    /// Why no browser may be started here.
    pub problem: Option<String>,
}

impl Options {
    /// The driver's arguments. It listens on a port of its own choice.
    pub fn arguments(&self) -> Vec<String> {
        match self.driver {
            Driver::Chromedriver => chrome::arguments(),
            Driver::Geckodriver => firefox::arguments(),
        }
    }

    /// What the driver's environment has beside this process's own.
    pub fn environment(&self) -> &'static [(&'static str, &'static str)] {
        match self.driver {
            Driver::Chromedriver => &[],
            Driver::Geckodriver => &firefox::ENVIRONMENT,
        }
    }

    /// What the driver says before its port, as soon as it listens.
    pub fn says_port_after(&self) -> &'static str {
        match self.driver {
            Driver::Chromedriver => "was started successfully on port ",
            Driver::Geckodriver => "Listening on 127.0.0.1:",
        }
    }

    /// The body of the driver's New Session. Firefox gets these preferences besides.
    pub fn new_session(&self, wanted: &NewSession, preferences: Map<String, Value>) -> Value {
        let NewSession { mut capabilities, parameters: mut body, .. } = wanted.clone();
        // Some clients send every browser the same; a driver would refuse another vendor's, or show it as its own.
        let others: &[&str] = match self.driver {
            Driver::Chromedriver => &["moz:", "safari:"],
            Driver::Geckodriver => &["goog:", "ms:", "safari:"],
        };
        capabilities.retain(|name, _| !others.iter().any(|prefix| name.starts_with(prefix)));
        let capabilities = match self.driver {
            Driver::Chromedriver => chrome::requested(capabilities, self),
            Driver::Geckodriver => firefox::requested(capabilities, self, preferences),
        };
        body.insert("capabilities".to_owned(), json!({"alwaysMatch": capabilities}));
        body.into()
    }

    /// Takes away of the driver's capabilities what points into the container.
    pub fn visible(&self, mut capabilities: Map<String, Value>) -> Map<String, Value> {
        // The gateway says where the socket is.
        capabilities.remove("webSocketUrl");
        match self.driver {
            Driver::Chromedriver => chrome::hide(&mut capabilities),
            Driver::Geckodriver => firefox::hide(&mut capabilities),
        }
        capabilities
    }
}

/// A socket inside the container: a port of loopback, and a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The port of 127.0.0.1.
    pub port: u16,
    /// The path.
    pub path: String,
}

impl Endpoint {
    /// Out of a URL of the driver's.
    pub fn of_url(url: &str) -> Option<Self> {
        let url = url::Url::parse(url).ok()?;
        Some(Self { port: url.port()?, path: url.path().to_owned() })
    }

    /// A port of this machine, out of `host:port`.
    pub fn of_address(address: &str) -> Option<Self> {
        let (_, port) = address.rsplit_once(':')?;
        Some(Self { port: port.parse().ok()?, path: "/".to_owned() })
    }

    /// A WebSocket to it.
    ///
    /// # Errors
    /// Nothing listens there, or it refuses.
    pub async fn open(&self) -> Result<WebSocketStream<TcpStream>, tungstenite::Error> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await?;
        stream.set_nodelay(true)?;
        let (socket, _) =
            client_async_with_config(self.url(), stream, Some(socket::config())).await?;
        Ok(socket)
    }

    /// The answer of a browser's DevTools to one command, on a socket of its own; one that refuses has an `error` in it.
    ///
    /// # Errors
    /// It hangs up.
    pub async fn ask(&self, method: &str, params: Value) -> Result<Value, BoxError> {
        let mut socket = self.open().await?;
        let command = json!({"id": 1, "method": method, "params": params});
        socket.send(Message::text(command.to_string())).await?;
        while let Some(message) = socket.next().await {
            let Message::Text(text) = message? else { continue };
            let answer: Value = serde_json::from_str(&text)?;
            if answer["id"] == 1 {
                socket.close(None).await?;
                return Ok(answer);
            }
        }
        Err("the browser hung up".into())
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("ws://{}{}", self.authority(), self.path)
    }

    /// The authority, as the Host checks of drivers and browsers want it.
    pub fn authority(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

/// The BiDi socket of a session, out of the driver's own URL of it.
pub fn bidi(capabilities: &Map<String, Value>) -> Option<Endpoint> {
    Endpoint::of_url(capabilities.get("webSocketUrl")?.as_str()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_vendors_capabilities_are_not_sent_and_parameters_are() {
        let set = json!({"goog:a": 1, "moz:a": 1, "wdio:a": 1});
        for (driver, sent) in [
            (Driver::Chromedriver, ["goog:a", "wdio:a"]),
            (Driver::Geckodriver, ["moz:a", "wdio:a"]),
        ] {
            let options = Options { driver, browser: None, browser_sandbox: true, problem: None };
            let capabilities = set.as_object().unwrap().clone();
            let parameters = Map::from_iter([("vendor".to_owned(), json!({"a": 1}))]);
            let body =
                options.new_session(&NewSession { capabilities, parameters, os: None }, Map::new());
            assert_eq!(body["vendor"], json!({"a": 1}));
            let asked = body["capabilities"]["alwaysMatch"].as_object().unwrap();
            let plain: Vec<&str> = asked
                .keys()
                .map(String::as_str)
                .filter(|name| !name.ends_with("Options"))
                .collect();
            assert_eq!(plain, sent);
        }
    }

    #[test]
    fn the_bidi_socket_is_where_the_driver_says() {
        let capabilities = json!({"webSocketUrl": "ws://127.0.0.1:4000/session/abc"});
        let expected = Endpoint { port: 4000, path: "/session/abc".to_owned() };
        assert_eq!(bidi(capabilities.as_object().unwrap()), Some(expected));
        assert_eq!(bidi(&Map::new()), None);
    }
}
