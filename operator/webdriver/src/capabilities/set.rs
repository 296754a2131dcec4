//! A set of capabilities, and whose its members are.

use serde_json::{Map, Value};

pub type CapabilitySet = Map<String, Value>;

/// The prefix of the operator's own capabilities; they are never forwarded to a driver.
pub const OWN_PREFIX: &str = "browser-operator:";
/// The prefix of Selenium's; they are between its client and its server, which we are.
pub const SELENIUM_PREFIX: &str = "se:";

/// The members of New Session's body that are about capabilities: WebDriver's own, and those of before the standard,
/// which drivers still believe. All others are parameters, which "must be forwarded" as they are.
pub const CAPABILITY_PARAMETERS: [&str; 3] =
    ["capabilities", "desiredCapabilities", "requiredCapabilities"];

/// What of a matched set goes to the driver: not what was matched already, and not what is ours or Selenium's.
#[must_use]
pub fn for_driver(set: &CapabilitySet) -> CapabilitySet {
    set.iter()
        .filter(|(name, _)| {
            !matches!(name.as_str(), "browserVersion" | "platformName")
                && !name.starts_with(OWN_PREFIX)
                && !name.starts_with(SELENIUM_PREFIX)
        })
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_driver_sees_neither_our_capabilities_nor_what_was_matched() {
        let set = json!({
            "browserName": "chrome", "browserVersion": "156", "platformName": "linux",
            "se:remoteUrl": "http://gateway", "browser-operator:region": "eu", "goog:chromeOptions": {},
        });
        let kept = for_driver(set.as_object().unwrap());
        assert_eq!(json!(kept), json!({"browserName": "chrome", "goog:chromeOptions": {}}));
    }
}
