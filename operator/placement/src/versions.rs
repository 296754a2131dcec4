//! Which version of a class has what a set of capabilities asks for.

use crds::{
    BrowserClass,
    class::{BrowserVersion, Matching},
};
use kube::ResourceExt;
use webdriver::capabilities::{self, CapabilitySet, Leniency, Mismatch, Offer};

use crate::refusal::names_of;

/// The channels that the first version is where no version says that it is.
const DEFAULT_CHANNELS: [&str; 2] = ["stable", "latest"];

/// The first version of a class that matches a set.
pub(crate) fn first_version<'a>(
    class: &'a BrowserClass,
    set: &CapabilitySet,
) -> Result<&'a BrowserVersion, Mismatch> {
    let mut first = None;
    for (index, version) in class.spec.versions.iter().enumerate() {
        let channels = channels(class, index);
        let is_lenient = class.spec.matching == Matching::Lenient;
        let offer = Offer {
            browser_name: class.spec.browser_name.as_str(),
            browser_version: &version.version,
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
    let versions = names_of(class.spec.versions.iter().map(|version| version.version.clone()));
    let offered = if miss.capability == "browserVersion" { &versions } else { &miss.offered };
    format!("class {} has {} {offered}, not {}", class.name_any(), miss.capability, miss.wanted)
}
