//! Options of a vendor, as a class takes them.

use crds::{BrowserClass, Reason, Sandbox, class::VendorOptions};
use webdriver::{
    capabilities::CapabilitySet,
    vendor_options::{self, Policy},
};

use crate::{
    fields::CAPABILITIES,
    refusal::{Refusal, refuse},
};

/// The set without what the class ignores, which is named in it. Of a class that is gone nothing is believed but its lenience.
pub(crate) fn allowed_options(
    class: Option<&BrowserClass>,
    set: CapabilitySet,
) -> Result<CapabilitySet, Refusal> {
    let class = class.map(|class| &class.spec);
    let policy = Policy {
        strict: class.is_some_and(|class| class.vendor_options == VendorOptions::Strict),
        browser_sandbox: class.is_none_or(|class| class.sandbox == Sandbox::Browser),
    };
    let checked = vendor_options::check(set, policy);
    if checked.refusals.is_empty() {
        return Ok(checked.into_set());
    }
    refuse(Reason::CapabilitiesInvalid, CAPABILITIES, checked.refusals.join("; "))
}
