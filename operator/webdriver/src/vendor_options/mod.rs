//! What a client may ask of a browser: whatever would run a program, reach another pod, or undo the sandbox or the egress
//! route is refused, and what cannot be allowed but is not needed is dropped.

mod chrome;
mod firefox;
mod firefox_profile;
mod table;
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

/// Takes the list of strings out that a member is; an empty one where there is none. What is something else is refused.
fn take_texts(
    options: &mut Map<String, Value>,
    member: &str,
    findings: &mut Findings,
) -> Vec<String> {
    let texts = match options.remove(member) {
        None => Some(Vec::new()),
        Some(Value::Array(list)) => list
            .into_iter()
            .map(|value| if let Value::String(text) = value { Some(text) } else { None })
            .collect(),
        Some(_) => None,
    };
    texts.unwrap_or_else(|| {
        findings.refuse(format!("{member} must be a list of strings"));
        Vec::new()
    })
}

/// A switch's name and value as the browsers read them: dashes before it or not, up to its value, in lower case.
fn switch(text: &str) -> (String, &str) {
    let text = text.trim().trim_start_matches('-');
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    (name.trim().to_ascii_lowercase(), value)
}

/// Whether a path is in a folder for what may be lost.
fn is_temporary(path: &str) -> bool {
    let path = path.trim_matches(['"', '\'', ' ']).replace('\\', "/").to_ascii_lowercase();
    let folders = ["tmp", "temp", "shm"];
    let is_relative_up = path.split('/').any(|part| part == "..");
    path == "/dev/null"
        || !is_relative_up
            && path.split('/').any(|part| {
                folders.contains(&part) || part.starts_with("tmp") || part.starts_with("temp")
            })
}

/// Whether a path names a browser of this kind, wherever the client has it.
fn is_program(path: &str, names: &[&str]) -> bool {
    let path = path.replace('\\', "/").to_ascii_lowercase();
    let file = path.rsplit('/').next().unwrap_or_default();
    let file = file.strip_suffix(".exe").unwrap_or(file);
    names.contains(&file)
}

#[cfg(test)]
mod tests;
