//! What a client may ask of a browser: whatever would run a program, reach another pod, or undo the sandbox or the egress
//! route is refused, and what cannot be allowed but is not needed is dropped.

mod chrome;
mod firefox;
mod firefox_profile;
mod table;
mod texts;
mod verdict;

use serde_json::{Map, Value};

use crate::capabilities::CapabilitySet;

use verdict::Findings;
pub use verdict::Policy;

/// The capability that tells a client which of its options were left out.
pub const IGNORED: &str = "browser-operator:ignored";

const CHROME: &str = "goog:chromeOptions";
const FIREFOX: &str = "moz:firefoxOptions";

/// What becomes of the vendor options in a set.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    /// The set without what is ignored.
    pub kept: CapabilitySet,
    /// What was left out, for the client.
    pub ignored: Vec<String>,
    /// What may not be asked for, all of it, in words for the client.
    pub refusals: Vec<String>,
}

impl Checked {
    /// The set that a browser is matched and prepared with: with what was left out, for the reply.
    #[must_use]
    pub fn into_set(self) -> CapabilitySet {
        let Self { mut kept, ignored, .. } = self;
        if !ignored.is_empty() {
            kept.insert(IGNORED.to_owned(), ignored.into());
        }
        kept
    }
}

/// What was left out of a set that [`Checked::into_set`] gave.
#[must_use]
pub fn ignored(set: &CapabilitySet) -> Vec<String> {
    let list = set.get(IGNORED).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).map(ToOwned::to_owned).collect()
}

type Check = fn(&mut Map<String, Value>, Policy, &mut Findings);

/// Decides about the vendor options in a set.
#[must_use]
pub fn check(mut set: CapabilitySet, policy: Policy) -> Checked {
    // Only we say what was ignored.
    set.remove(IGNORED);
    let (mut ignored, mut refusals) = (Vec::new(), Vec::new());
    for (name, check) in [(CHROME, chrome::check as Check), (FIREFOX, firefox::check)] {
        match set.get_mut(name) {
            None => {}
            Some(Value::Object(options)) => {
                let mut findings = Findings::default();
                check(options, policy, &mut findings);
                ignored.extend(findings.ignored.into_iter().map(|what| format!("{name}.{what}")));
                refusals.extend(findings.refusals.into_iter().map(|what| format!("{name}.{what}")));
            }
            Some(_) => refusals.push(format!("{name} must be an object")),
        }
    }
    Checked { kept: set, ignored, refusals }
}

#[cfg(test)]
mod tests;
