//! The drivers that there are, and where they differ.

use std::{net::Ipv4Addr, path::PathBuf};

use serde_json::{Map, Value, json};
use tokio::net::TcpStream;
use wire::bind::{Driver, NewSession};

use super::{chrome, firefox};

/// How this container runs its browser.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which driver it has.
    pub driver: Driver,
    /// The browser's program; the driver's own choice if absent.
    pub browser: Option<PathBuf>,
    /// Whether the browser's own sandbox is used.
    pub browser_sandbox: bool,
    /// The version that Firefox has in its User-Agent, where the image says which.
    pub firefox_version: Option<String>,
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

    /// The body of the driver's New Session.
    pub fn new_session(&self, wanted: &NewSession) -> Value {
        let NewSession { mut capabilities, parameters: mut body, .. } = wanted.clone();
        // Some clients send every browser the same; a driver would refuse another vendor's, or show it as its own.
        let others: &[&str] = match self.driver {
            Driver::Chromedriver => &["moz:", "safari:"],
            Driver::Geckodriver => &["goog:", "ms:", "safari:"],
        };
        capabilities.retain(|name, _| !others.iter().any(|prefix| name.starts_with(prefix)));
        let capabilities = match self.driver {
            Driver::Chromedriver => chrome::requested(capabilities, self),
            Driver::Geckodriver => firefox::requested(capabilities, self, wanted.os),
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

    /// A connection to it.
    ///
    /// # Errors
    /// Nothing listens there.
    pub async fn connect(&self) -> std::io::Result<TcpStream> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
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
            let options = Options {
                driver,
                browser: None,
                browser_sandbox: true,
                firefox_version: None,
                problem: None,
            };
            let capabilities = set.as_object().unwrap().clone();
            let parameters = Map::from_iter([("vendor".to_owned(), json!({"a": 1}))]);
            let body = options.new_session(&NewSession { capabilities, parameters, os: None });
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
