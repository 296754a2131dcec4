//! The sets of capabilities that a session would take, in order.

use crds::{BrowserClass, BrowserSessionSpec, Reason, class::Matching};
use serde_json::Value;
use webdriver::capabilities::{self, CapabilitySet, Dialect, Requested};

use crate::{
    fields::CAPABILITIES,
    proxy::ignores_certificates,
    refusal::{Refusal, refuse},
    vendor_options::allowed_options,
};

/// Validates `spec.capabilities`, as JSON.
pub(crate) fn requested(asked: &Value) -> Result<Requested<'_>, Refusal> {
    match capabilities::process(asked, Dialect::Classic) {
        Ok(requested) => Ok(requested),
        Err(error) => refuse(Reason::CapabilitiesInvalid, CAPABILITIES, error.message),
    }
}

/// Adds what stands in other fields of the spec.
pub(crate) fn with_fields(spec: &BrowserSessionSpec, mut set: CapabilitySet) -> CapabilitySet {
    // A browser checks certificates of all servers, or of none.
    if spec.ignore_certificate_errors || ignores_certificates(spec) {
        set.entry("acceptInsecureCerts").or_insert(Value::Bool(true));
    }
    set
}

/// Writes a matched set's values as the class's driver knows them.
pub(crate) fn settle(class: &BrowserClass, mut set: CapabilitySet) -> CapabilitySet {
    if class.spec.matching == Matching::Lenient
        && let Some(name) = set.get_mut("browserName")
    {
        *name = class.spec.browser_name.as_str().into();
    }
    set
}

/// The set that a pod was made for. `class`: the pod's, if it still exists.
///
/// # Errors
/// The capabilities are malformed, or there is no such set.
pub fn matched_set(
    spec: &BrowserSessionSpec,
    matched: usize,
    class: Option<&BrowserClass>,
) -> Result<CapabilitySet, Refusal> {
    let asked = spec.capabilities.to_json();
    let Some(set) = requested(&asked)?.set(matched) else {
        return refuse(Reason::CapabilitiesInvalid, CAPABILITIES, "no such alternative");
    };
    let set = allowed_options(class, with_fields(spec, set))?;
    Ok(match class {
        Some(class) => settle(class, set),
        None => set,
    })
}
