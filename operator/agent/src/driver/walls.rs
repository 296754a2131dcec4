//! What a client could ask for so that its browser opens the driver's port after all. Refused here too, beside the gateway's
//! own list: this is the last place that sees the options.

use agent_api::paths::AGENT_PORT;
use serde_json::{Map, Value};
use url::Url;

use super::ports::PORTS;

/// Chrome's switch that allows ports.
const CHROME_SWITCH: &str = "explicitly-allowed-ports";
/// Firefox' preference that allows ports.
pub const FIREFOX_PREFERENCE: &str = "network.security.ports.banned.override";
const PROXIES: [&str; 3] = ["httpProxy", "sslProxy", "socksProxy"];

/// Why a session is not made.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum WallError {
    #[error(
        "goog:chromeOptions.args: {CHROME_SWITCH} is not allowed: it opens the driver to pages"
    )]
    ChromePorts,
    #[error(
        "moz:firefoxOptions.prefs: {FIREFOX_PREFERENCE} is not allowed: it opens the driver to pages"
    )]
    FirefoxPorts,
    #[error("proxy.{0} is a port of the browser's own container")]
    Proxy(&'static str),
}

pub fn check(capabilities: &Map<String, Value>) -> Result<(), WallError> {
    let member = |name: &str, member: &str| capabilities.get(name)?.get(member);
    let mut switches =
        member("goog:chromeOptions", "args").and_then(Value::as_array).into_iter().flatten();
    if switches.any(|switch| switch.as_str().is_some_and(allows_ports)) {
        return Err(WallError::ChromePorts);
    }
    let preferences = member("moz:firefoxOptions", "prefs").and_then(Value::as_object);
    if preferences.is_some_and(|preferences| preferences.contains_key(FIREFOX_PREFERENCE)) {
        return Err(WallError::FirefoxPorts);
    }
    let inside =
        |name: &&&str| member("proxy", name).and_then(Value::as_str).is_some_and(is_inside);
    PROXIES.iter().find(inside).map_or(Ok(()), |name| Err(WallError::Proxy(name)))
}

fn allows_ports(switch: &str) -> bool {
    let name = switch.trim().trim_start_matches('-').split('=').next().unwrap_or_default();
    name.trim().eq_ignore_ascii_case(CHROME_SWITCH)
}

/// Whether a `host:port` is the agent's or a driver's, on any address: a pod's own may be written in many ways.
fn is_inside(proxy: &str) -> bool {
    let port = Url::parse(&format!("http://{proxy}")).ok().and_then(|url| url.port());
    port.is_some_and(|port| PORTS.contains(&port) || port == AGENT_PORT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_opens_the_drivers_port_is_refused() {
        for (capabilities, expected) in [
            (json!({}), Ok(())),
            (json!({"goog:chromeOptions": {"args": ["--lang=de", 1]}}), Ok(())),
            (
                json!({"goog:chromeOptions": {"args": ["explicitly-allowed-ports=6667"]}}),
                Err(WallError::ChromePorts),
            ),
            (
                json!({"goog:chromeOptions": {"args": [" --Explicitly-Allowed-Ports=6667"]}}),
                Err(WallError::ChromePorts),
            ),
            (
                json!({"moz:firefoxOptions": {"prefs": {FIREFOX_PREFERENCE: "6667"}}}),
                Err(WallError::FirefoxPorts),
            ),
            (json!({"proxy": {"proxyType": "manual", "httpProxy": "proxy:3128"}}), Ok(())),
            (
                json!({"proxy": {"proxyType": "manual", "httpProxy": "127.1:6667"}}),
                Err(WallError::Proxy("httpProxy")),
            ),
            (
                json!({"proxy": {"proxyType": "manual", "sslProxy": "10.0.0.9:4444"}}),
                Err(WallError::Proxy("sslProxy")),
            ),
        ] {
            assert_eq!(check(capabilities.as_object().unwrap()), expected, "{capabilities}");
        }
    }
}
