//! "match capabilities": whether a class of browsers can give a set.

use super::set::CapabilitySet;
use crate::browser_version;

/// What a class of browsers can give.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    /// WebDriver's browserName.
    pub browser_name: &'a str,
    /// The version, in full.
    pub browser_version: &'a str,
    /// WebDriver's platformName.
    pub platform_name: &'a str,
}

/// The longest value that a message repeats, in characters.
const MAX_WANTED: usize = 100;

/// The first capability of a set that an offer cannot give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    pub capability: String,
    /// What was asked for, as JSON, cut to a length that a person reads.
    pub wanted: String,
    pub offered: String,
}

/// "match capabilities", against what is known before a browser runs.
///
/// # Errors
/// The first capability that does not match.
pub fn match_capabilities(set: &CapabilitySet, offer: Offer<'_>) -> Result<(), Mismatch> {
    for (name, value) in set {
        let text = value.as_str();
        let (matched, offered) = match name.as_str() {
            "browserName" => (text == Some(offer.browser_name), offer.browser_name),
            "browserVersion" => (
                text.is_some_and(|wanted| browser_version::matches(wanted, offer.browser_version)),
                offer.browser_version,
            ),
            "platformName" => (text == Some(offer.platform_name), offer.platform_name),
            name => (
                vendor_of(name).is_none_or(|browser| browser == offer.browser_name),
                "a browser of another vendor",
            ),
        };
        if !matched {
            return Err(Mismatch {
                capability: name.clone(),
                wanted: value.to_string().chars().take(MAX_WANTED).collect(),
                offered: offered.to_owned(),
            });
        }
    }
    Ok(())
}

/// The browser that an extension capability belongs to, where it is one that a client sends to its own browser only. Other
/// capabilities of a vendor's decide nothing: Puppeteer sends Chrome's to every browser.
fn vendor_of(name: &str) -> Option<&'static str> {
    match name {
        "goog:chromeOptions" => Some("chrome"),
        "moz:firefoxOptions" => Some("firefox"),
        "ms:edgeOptions" => Some("MicrosoftEdge"),
        name if name.starts_with("safari:") => Some("safari"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_mismatch_names_the_capability_and_both_values() {
        let offer = Offer {
            browser_name: "chrome",
            browser_version: "156.0.8078.79",
            platform_name: "linux",
        };
        for (set, capability) in [
            (json!({"browserName": "Chrome"}), Some("browserName")),
            (json!({"browserVersion": "<100"}), Some("browserVersion")),
            (json!({"platformName": "LINUX"}), Some("platformName")),
            (json!({"moz:firefoxOptions": {}}), Some("moz:firefoxOptions")),
            (json!({"browserName": "chrome", "browserVersion": ">=100"}), None),
            (json!({"goog:chromeOptions": {}, "custom:name": 1}), None),
        ] {
            let found = match_capabilities(set.as_object().unwrap(), offer).err();
            assert_eq!(found.map(|m| m.capability).as_deref(), capability, "{set}");
        }
    }
}
