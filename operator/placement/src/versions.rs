//! Which version of a class has what a set of capabilities asks for.

use crds::{
    BrowserClass, Reason,
    class::{BrowserVersion, Matching},
};
use kube::ResourceExt;
use webdriver::{
    browser_version,
    capabilities::{self, CapabilitySet, Leniency, Mismatch, Offer},
};

use crate::{
    fields::CAPABILITIES,
    refusal::{Refusal, names_of, refuse},
};

/// The channels that the first version is where no version says that it is.
const DEFAULT_CHANNELS: [&str; 2] = ["stable", "latest"];

/// The first version of a class that matches a set.
pub(crate) fn first_version<'a>(
    class: &'a BrowserClass,
    set: &CapabilitySet,
) -> Result<&'a BrowserVersion, Mismatch> {
    let mut first = None;
    for (index, version) in class.spec.versions.iter().enumerate() {
        let (channels, known) = (channels(class, index), known(class, version));
        let is_lenient = class.spec.matching == Matching::Lenient;
        let offer = Offer {
            browser_name: class.spec.browser_name.as_str(),
            browser_versions: &known,
            platform_name: &class.spec.platform_name,
            leniency: is_lenient.then_some(Leniency { channels: &channels }),
        };
        match capabilities::match_capabilities(set, offer) {
            Ok(()) => return Ok(version),
            Err(miss) => {
                first.get_or_insert(miss);
            }
        }
    }
    Err(first.unwrap_or_else(|| Mismatch {
        capability: "browserVersion".to_owned(),
        wanted: "any".to_owned(),
        offered: "no version".to_owned(),
    }))
}

/// What a version is known to be. What was found counts before what the class says, which may be less exact, or wrong.
fn known<'a>(class: &'a BrowserClass, version: &'a BrowserVersion) -> Vec<&'a str> {
    let found = class.found(version).map(|found| found.browser_version.as_str());
    let agrees = |said: &&str| found.is_none_or(|found| browser_version::agrees(said, found));
    found.into_iter().chain(version.declared().filter(agrees)).collect()
}

/// What a version is, for people.
fn told(class: &BrowserClass, version: &BrowserVersion) -> String {
    match (known(class, version).as_slice(), version.declared()) {
        ([found], Some(said)) if *found != said => format!("{found} (the class says {said})"),
        ([], _) => format!("unknown until image {} has run", version.image),
        (_, Some(said)) => said.to_owned(),
        ([found, ..], None) => (*found).to_owned(),
    }
}

/// Checks what a browser says that it is against what its session asked for: the class may have said otherwise.
///
/// # Errors
/// A version was asked for that the browser has not.
pub fn check_found(asked: &CapabilitySet, found: &str) -> Result<(), Refusal> {
    let Some(wanted) = asked.get("browserVersion").and_then(|wanted| wanted.as_str()) else {
        return Ok(());
    };
    // A channel, or a word for any, says nothing of numbers.
    let is_number = |c: char| c.is_ascii_digit() || matches!(c, '<' | '>');
    if !wanted.trim().starts_with(is_number)
        || browser_version::matches(wanted, found)
        || browser_version::agrees(wanted, found)
    {
        return Ok(());
    }
    refuse(
        Reason::CapabilitiesNotMatched,
        CAPABILITIES,
        format!("browserVersion: the class's image has {found}, not {wanted}"),
    )
}

fn channels(class: &BrowserClass, index: usize) -> Vec<&str> {
    let versions = &class.spec.versions;
    let own = versions.get(index).into_iter().flat_map(|version| &version.channels);
    let is_said = |channel: &str| {
        versions.iter().any(|version| version.channels.iter().any(|said| said == channel))
    };
    let by_default = DEFAULT_CHANNELS.into_iter().filter(|channel| index == 0 && !is_said(channel));
    own.map(String::as_str).chain(by_default).collect()
}

pub(crate) fn describe(class: &BrowserClass, miss: &Mismatch) -> String {
    if miss.capability.contains(':') {
        // Its value may be anything, and long, and nobody's to read.
        let browser = class.spec.browser_name.as_str();
        return format!(
            "class {} has {browser}, which {} is not for",
            class.name_any(),
            miss.capability
        );
    }
    let versions = names_of(class.spec.versions.iter().map(|version| told(class, version)));
    let offered = if miss.capability == "browserVersion" { &versions } else { &miss.offered };
    format!("class {} has {} {offered}, not {}", class.name_any(), miss.capability, miss.wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn class(version: Option<&str>, found: Option<&str>) -> BrowserClass {
        let found = found.map(|found| json!({"browserName": "chrome", "browserVersion": found}));
        serde_json::from_value(json!({
            "apiVersion": "browser-operator.io/v1alpha1", "kind": "BrowserClass",
            "metadata": {"name": "c"},
            "spec": {"browserName": "chrome",
                "versions": [{"version": version.unwrap_or_default(), "image": "i"}]},
            "status": {"versions": [{
                "image": "i", "revision": "r", "sinceGeneration": 1, "ready": "True", "found": found,
            }]},
        }))
        .unwrap()
    }

    fn set(version: Value) -> CapabilitySet {
        CapabilitySet::from_iter([("browserVersion".to_owned(), version)])
    }

    #[test]
    fn what_was_found_decides_and_what_is_said_where_it_agrees() {
        for (said, found, wanted, matched) in [
            (Some("156"), None, "156", true),
            (Some("156"), None, "156.0.1", false),
            (Some("156"), Some("156.0.1"), "156.0.1", true),
            (Some("156"), Some("156.0.1"), "156", true),
            (Some("140.5.0esr"), Some("140.5.0"), "140.5.0esr", true),
            // The class does not say the truth.
            (Some("150"), Some("156.0.1"), "150", false),
            (Some("150"), Some("156.0.1"), "156", true),
            // The class leaves it to the image.
            (None, Some("156.0.1"), "156", true),
            (None, Some("156.0.1"), "150", false),
            (None, None, "156", false),
        ] {
            let class = class(said, found);
            let outcome = first_version(&class, &set(json!(wanted)));
            assert_eq!(outcome.is_ok(), matched, "{said:?} {found:?}: {wanted}");
            assert!(first_version(&class, &CapabilitySet::new()).is_ok());
        }
    }

    #[test]
    fn a_refusal_says_what_the_images_have() {
        for (said, found, words) in [
            (Some("156"), Some("156.0.1"), "browserVersion 156, not"),
            (Some("150"), Some("156.0.1"), "156.0.1 (the class says 150)"),
            (None, Some("156.0.1"), "browserVersion 156.0.1, not"),
            (None, None, "browserVersion unknown until image i has run, not"),
        ] {
            let class = class(said, found);
            let miss = first_version(&class, &set(json!("9"))).unwrap_err();
            let described = describe(&class, &miss);
            assert!(described.contains(words), "{described}");
        }
    }

    #[test]
    fn a_session_never_gets_another_version_than_it_asked_for() {
        for (wanted, allowed) in [
            (json!("150"), false),
            (json!("<156"), false),
            (json!("156"), true),
            (json!(">=150"), true),
            (json!("156.0.1esr"), true),
            (json!("stable"), true),
            (json!(""), true),
        ] {
            let outcome = check_found(&set(wanted.clone()), "156.0.1");
            assert_eq!(outcome.is_ok(), allowed, "{wanted}");
        }
        assert!(check_found(&CapabilitySet::new(), "156.0.1").is_ok());
        let refusal = check_found(&set(json!("150")), "156.0.1").unwrap_err();
        assert_eq!(refusal.reason, Reason::CapabilitiesNotMatched);
        assert!(refusal.message().contains("browserVersion: the class's image has 156.0.1"));
    }
}
