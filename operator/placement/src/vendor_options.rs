//! Options of a vendor that a class does not allow.

use crds::{BrowserClass, Reason, Sandbox};
use webdriver::{capabilities::CapabilitySet, vendor_options};

use crate::{
    fields::CAPABILITIES,
    refusal::{Refusal, refuse},
};

pub(crate) fn check_vendor_options(
    class: &BrowserClass,
    set: &CapabilitySet,
) -> Result<(), Refusal> {
    match vendor_options::refused(set, class.spec.sandbox == Sandbox::Browser) {
        Some(message) => refuse(Reason::CapabilitiesInvalid, CAPABILITIES, message),
        None => Ok(()),
    }
}
