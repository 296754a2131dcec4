//! Desired state. Nothing here talks to a cluster, reads a clock or draws a random number.

mod pod;
mod service;

use std::collections::BTreeMap;

use crds::names;
use sha2::{Digest, Sha256};

pub use pod::{new_session, pod};
pub use service::{browsers, exposed};

use crate::key::Key;

/// Who writes.
pub const FIELD_MANAGER: &str = "browser-operator-controller";
/// On a pod: which of the session's merged capability sets it was made for.
pub const MATCHED_ANNOTATION: &str = "browser-operator.io/matched";
/// The container with the browser.
pub const CONTAINER: &str = "browser";
/// The longest part of a session's name in its pod's.
const MAX_STEM: usize = 48;
/// The part of a pod's name that is never used twice.
const NONCE: usize = 12;

/// What the administrator, not the client, decides.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The gateway's URL in a session's status, without a slash at its end; `http` or `https`.
    pub gateway_url: String,
    /// The domain of the cluster's names.
    pub cluster_domain: String,
}

/// The name of a session's pod: its own, and a part that no other life of that name shares. It is a DNS label.
#[must_use]
pub fn pod_name(key: &Key) -> String {
    // A Service of this name must begin with a letter (RFC 1035, section 2.3.1).
    let letter = if key.name.starts_with(|c: char| c.is_ascii_digit()) { "s" } else { "" };
    let stem: String = letter
        .chars()
        .chain(key.name.chars())
        .map(|c| if c == '.' { '-' } else { c })
        .take(MAX_STEM)
        .collect();
    let nonce = hex::encode(Sha256::digest(key.uid.as_bytes()));
    format!("{}-{}", stem.trim_end_matches('-'), &nonce[..NONCE])
}

/// Labels of everything that is made for one session.
fn labels(key: &Key) -> BTreeMap<String, String> {
    [(names::MANAGED_BY_LABEL, names::MANAGED_BY), (names::SESSION_UID_LABEL, &key.uid)]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pods_name_is_a_dns_label_that_names_its_session() {
        let key = |name: &str, uid: &str| Key {
            namespace: "n".into(),
            name: name.into(),
            uid: uid.into(),
        };
        assert_eq!(pod_name(&key("a.b", "u")), "a-b-0bfe935e70c3");
        assert_ne!(pod_name(&key("a", "u")), pod_name(&key("a", "v")));
        assert!(pod_name(&key("1st", "u")).starts_with("s1st-"));
        let long = pod_name(&key(&"x.".repeat(100), "u"));
        assert!(long.len() <= 63 && !long.contains("--"), "{long}");
    }
}
