//! The operating system that the browser names to pages.

use std::iter;

use crds::{BrowserClass, BrowserSessionSpec, OperatingSystem, Reason};
use kube::ResourceExt;
use webdriver::capabilities::CapabilitySet;

use crate::refusal::{Refusal, names_of, refuse};

pub(crate) fn check_operating_system(
    spec: &BrowserSessionSpec,
    class: &BrowserClass,
) -> Result<(), Refusal> {
    let Some(wanted) = spec.os else { return Ok(()) };
    let (own, others) = (&class.spec.platform_name, &class.spec.operating_systems);
    if wanted.as_str() == own || others.contains(&wanted) {
        return Ok(());
    }
    let others = others.iter().map(|other| other.as_str().to_owned());
    let all = names_of(iter::once(own.clone()).chain(others));
    refuse(
        Reason::CapabilitiesNotMatched,
        "spec.os",
        format!("class {} has {all}, not {}", class.name_any(), wanted.as_str()),
    )
}

/// Chrome's own emulation of a device says what it runs on, too.
pub(crate) fn check_emulation(
    spec: &BrowserSessionSpec,
    set: &CapabilitySet,
) -> Result<(), Refusal> {
    let emulates = set
        .get("goog:chromeOptions")
        .and_then(|options| options.get("mobileEmulation"))
        .is_some_and(|emulation| !emulation.is_null());
    if emulates && spec.os.is_some_and(|os| os != OperatingSystem::Linux) {
        return refuse(
            Reason::FieldInvalid,
            "spec.os",
            "goog:chromeOptions.mobileEmulation says what the browser runs on, too: ask for one of them",
        );
    }
    Ok(())
}
