//! Where the drivers differ: their arguments, what New Session sends, and what of its answer a client sees.

use agent_api::bind::{Driver, NewSession};
use serde_json::{Map, Value, json};

use super::{chrome, endpoint::Endpoint, firefox, launch_options::LaunchOptions};

pub fn arguments(driver: Driver, port: u16) -> Vec<String> {
    match driver {
        Driver::Chromedriver => chrome::arguments(port),
        Driver::Geckodriver => firefox::arguments(port),
    }
}

/// The text that the driver prints before its port, as soon as it listens.
pub fn port_prefix(driver: Driver) -> &'static str {
    match driver {
        Driver::Chromedriver => "was started successfully on port ",
        Driver::Geckodriver => "Listening on 127.0.0.1:",
    }
}

/// The body of the driver's New Session. `preferences` are Firefox' alone.
pub fn new_session_body(
    options: &LaunchOptions,
    wanted: &NewSession,
    preferences: Map<String, Value>,
) -> Value {
    let NewSession { mut capabilities, parameters: mut body, .. } = wanted.clone();
    // Some clients send every browser the same; a driver would refuse another vendor's, or return it as its own.
    let others: &[&str] = match options.driver {
        Driver::Chromedriver => &["moz:", "safari:"],
        Driver::Geckodriver => &["goog:", "ms:", "safari:"],
    };
    capabilities.retain(|name, _| !others.iter().any(|prefix| name.starts_with(prefix)));
    let capabilities = match options.driver {
        Driver::Chromedriver => chrome::request_capabilities(capabilities, options),
        Driver::Geckodriver => firefox::request_capabilities(capabilities, options, preferences),
    };
    body.insert("capabilities".to_owned(), json!({"alwaysMatch": capabilities}));
    body.into()
}

/// The driver's capabilities without what points into the container.
pub fn client_capabilities(
    driver: Driver,
    mut capabilities: Map<String, Value>,
) -> Map<String, Value> {
    // The gateway says where the socket is.
    capabilities.remove("webSocketUrl");
    match driver {
        Driver::Chromedriver => chrome::hide_internals(&mut capabilities),
        Driver::Geckodriver => firefox::hide_internals(&mut capabilities),
    }
    capabilities
}

/// The session's BiDi socket, from the driver's own URL of it.
pub fn bidi_endpoint(capabilities: &Map<String, Value>) -> Option<Endpoint> {
    Endpoint::from_url(capabilities.get("webSocketUrl")?.as_str()?)
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
            let options =
                LaunchOptions { driver, browser: None, browser_sandbox: true, proxy_port: 3128 };
            let capabilities = set.as_object().unwrap().clone();
            let parameters = Map::from_iter([("vendor".to_owned(), json!({"a": 1}))]);
            let body = new_session_body(
                &options,
                &NewSession { capabilities, parameters, os: None },
                Map::new(),
            );
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
        assert_eq!(bidi_endpoint(capabilities.as_object().unwrap()), Some(expected));
        assert_eq!(bidi_endpoint(&Map::new()), None);
    }
}
