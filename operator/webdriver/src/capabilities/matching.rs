//! "match capabilities": whether a class of browsers can give a set.

use super::set::CapabilitySet;
use crate::browser_version;

/// What a class of browsers can give.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    /// WebDriver's browserName.
    pub browser_name: &'a str,
    /// What its version is known to be; empty: nothing yet, so that only a set without a version matches.
    pub browser_versions: &'a [&'a str],
    /// WebDriver's platformName.
    pub platform_name: &'a str,
    /// `None`: values mean exactly what WebDriver says.
    pub leniency: Option<Leniency<'a>>,
}

/// What values may mean beside what WebDriver says, as Selenium's Grid has it.
#[derive(Clone, Copy, Debug)]
pub struct Leniency<'a> {
    /// The release channels that the version is.
    pub channels: &'a [&'a str],
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
        let first_version = || *offer.browser_versions.first().unwrap_or(&"an unknown version");
        let (matched, offered) = match name.as_str() {
            "browserName" => {
                (text.is_some_and(|wanted| is_browser(wanted, offer)), offer.browser_name)
            }
            "browserVersion" => {
                (text.is_some_and(|wanted| is_version(wanted, offer)), first_version())
            }
            "platformName" => {
                (text.is_some_and(|wanted| is_platform(wanted, offer)), offer.platform_name)
            }
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

fn is_browser(wanted: &str, offer: Offer<'_>) -> bool {
    let is_name = |wanted: &str| wanted.eq_ignore_ascii_case(offer.browser_name);
    let is_chromium = wanted.eq_ignore_ascii_case("chromium") && offer.browser_name == "chrome";
    wanted == offer.browser_name
        || offer.leniency.is_some()
            && (wanted.trim().is_empty() || is_name(wanted.trim()) || is_chromium)
}

fn is_version(wanted: &str, offer: Offer<'_>) -> bool {
    let is_channel = |leniency: Leniency<'_>| {
        let wanted = wanted.trim();
        wanted.is_empty()
            || wanted.eq_ignore_ascii_case("any")
            || leniency.channels.iter().any(|channel| channel.eq_ignore_ascii_case(wanted))
    };
    offer.leniency.is_some_and(is_channel)
        || offer.browser_versions.iter().any(|known| browser_version::matches(wanted, known))
}

/// `any` is any in every class: clients of Selenium send it unasked.
fn is_platform(wanted: &str, offer: Offer<'_>) -> bool {
    let is_lenient = || {
        let wanted = wanted.trim().to_ascii_lowercase();
        let own = family(offer.platform_name);
        wanted.is_empty()
            || wanted == offer.platform_name
            || family(&wanted).is_some_and(|family| Some(family) == own)
            || wanted == "unix" && matches!(own, Some("linux" | "mac"))
    };
    wanted == offer.platform_name
        || wanted.eq_ignore_ascii_case("any")
        || offer.leniency.is_some() && is_lenient()
}

/// The family that a platform's name belongs to, as clients of Selenium write it.
fn family(platform: &str) -> Option<&'static str> {
    let starts = |names: &[&str]| names.iter().any(|name| platform.starts_with(name));
    match platform {
        _ if starts(&["linux", "ubuntu", "debian"]) => Some("linux"),
        "xp" | "vista" => Some("windows"),
        _ if starts(&["win"]) => Some("windows"),
        "darwin" => Some("mac"),
        _ if starts(&["mac", "os x", "os_x"]) => Some("mac"),
        _ => None,
    }
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
    fn a_lenient_offer_reads_values_as_a_grid_does() {
        let chrome = |leniency| Offer {
            browser_name: "chrome",
            browser_versions: &["156.0.8078.79"],
            platform_name: "linux",
            leniency,
        };
        let channels = ["stable", "latest"];
        let lenient = chrome(Some(Leniency { channels: &channels }));
        for (set, by_the_word, by_its_meaning) in [
            (json!({"platformName": "ANY"}), true, true),
            (json!({"platformName": "any"}), true, true),
            (json!({"platformName": "Any"}), true, true),
            (json!({"platformName": "linux"}), true, true),
            (json!({"platformName": "LINUX"}), false, true),
            (json!({"platformName": "Unix"}), false, true),
            (json!({"platformName": ""}), false, true),
            (json!({"platformName": "Windows 11"}), false, false),
            (json!({"platformName": "macOS 14"}), false, false),
            (json!({"browserName": "Chrome"}), false, true),
            (json!({"browserName": ""}), false, true),
            (json!({"browserName": "chromium"}), false, true),
            (json!({"browserName": "Firefox"}), false, false),
            (json!({"browserVersion": ""}), false, true),
            (json!({"browserVersion": "stable"}), false, true),
            (json!({"browserVersion": "Latest"}), false, true),
            (json!({"browserVersion": "beta"}), false, false),
            (json!({"browserVersion": "156"}), true, true),
            (json!({"browserVersion": "15"}), false, false),
        ] {
            let matches = |offer| match_capabilities(set.as_object().unwrap(), offer).is_ok();
            assert_eq!(matches(chrome(None)), by_the_word, "exact: {set}");
            assert_eq!(matches(lenient), by_its_meaning, "lenient: {set}");
        }
    }

    #[test]
    fn a_version_that_nobody_knows_is_for_those_who_ask_for_none() {
        let offer = Offer {
            browser_name: "chrome",
            browser_versions: &[],
            platform_name: "linux",
            leniency: Some(Leniency { channels: &["stable"] }),
        };
        for (set, matched) in [
            (json!({}), true),
            (json!({"browserVersion": ""}), true),
            (json!({"browserVersion": "stable"}), true),
            (json!({"browserVersion": "156"}), false),
            (json!({"browserVersion": ">0"}), false),
        ] {
            let outcome = match_capabilities(set.as_object().unwrap(), offer);
            assert_eq!(outcome.is_ok(), matched, "{set}");
            if let Err(miss) = outcome {
                assert_eq!(miss.offered, "an unknown version");
            }
        }
    }

    #[test]
    fn a_mismatch_names_the_capability_and_both_values() {
        let offer = Offer {
            browser_name: "chrome",
            browser_versions: &["156.0.8078.79"],
            platform_name: "linux",
            leniency: None,
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
