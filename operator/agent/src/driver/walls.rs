//! What a client could ask for so that its browser opens the driver's port after all. Refused here too, beside the gateway's
//! own list: this is the last place that sees the options.

use serde_json::{Map, Value};

/// Chrome's switch that allows ports.
const CHROME_SWITCH: &str = "explicitly-allowed-ports";
/// Firefox' preference that allows ports.
pub const FIREFOX_PREFERENCE: &str = "network.security.ports.banned.override";

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
    Ok(())
}

fn allows_ports(switch: &str) -> bool {
    let name = switch.trim().trim_start_matches('-').split('=').next().unwrap_or_default();
    name.trim().eq_ignore_ascii_case(CHROME_SWITCH)
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
        ] {
            assert_eq!(check(capabilities.as_object().unwrap()), expected, "{capabilities}");
        }
    }
}
