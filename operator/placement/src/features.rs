//! Features that a provider adds to a session.

use crds::{BrowserClass, BrowserSessionSpec, Reason};
use kube::ResourceExt;

use crate::refusal::{Refusal, refuse};

pub(crate) fn check_features(
    spec: &BrowserSessionSpec,
    class: &BrowserClass,
) -> Result<(), Refusal> {
    match spec.features().find(|(feature, _)| class.spec.provider(*feature).is_none()) {
        None => Ok(()),
        Some((_, field)) => refuse(
            Reason::CapabilitiesNotMatched,
            field,
            format!("class {} names no provider that does it", class.name_any()),
        ),
    }
}

pub(crate) fn providers<'a>(spec: &BrowserSessionSpec, class: &'a BrowserClass) -> Vec<&'a str> {
    let mut names = Vec::new();
    for provider in spec.features().filter_map(|(feature, _)| class.spec.provider(feature)) {
        if !names.contains(&provider.name.as_str()) {
            names.push(provider.name.as_str());
        }
    }
    names
}
