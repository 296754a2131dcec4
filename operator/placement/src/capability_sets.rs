//! The sets of capabilities that a session would take, in order.

use crds::{BrowserSessionSpec, Reason};
use serde_json::Value;
use webdriver::capabilities::{self, CapabilitySet, Dialect};

use crate::{
    fields::CAPABILITIES,
    refusal::{Refusal, refuse},
};

pub(crate) fn capability_sets(spec: &BrowserSessionSpec) -> Result<Vec<CapabilitySet>, Refusal> {
    let asked = spec.capabilities.to_json();
    match capabilities::process(&asked, Dialect::Classic) {
        Ok(mut sets) => {
            if spec.ignore_certificate_errors {
                for set in &mut sets {
                    set.entry("acceptInsecureCerts").or_insert(Value::Bool(true));
                }
            }
            Ok(sets)
        }
        Err(error) => refuse(Reason::CapabilitiesInvalid, CAPABILITIES, error.message),
    }
}

/// The set that a pod was made for.
///
/// # Errors
/// The capabilities are malformed, or there is no such set.
pub fn matched_set(spec: &BrowserSessionSpec, matched: usize) -> Result<CapabilitySet, Refusal> {
    match capability_sets(spec)?.into_iter().nth(matched) {
        Some(set) => Ok(set),
        None => refuse(Reason::CapabilitiesInvalid, CAPABILITIES, "no such alternative"),
    }
}
