//! Names and labels of what is made for sessions.

use std::collections::BTreeMap;

use agent_api::PodRef;
use crds::names;
use sha2::{Digest, Sha256};

use crate::session_key::SessionKey;

/// The field manager of every write.
pub const FIELD_MANAGER: &str = "browser-operator-controller";
/// On a pod: which of the session's merged capability sets was matched.
pub const MATCHED_ANNOTATION: &str = "browser-operator.io/matched";
/// The longest part of a session's name in an object's.
const MAX_STEM: usize = 48;
/// The hexadecimal digits of the uid's hash in an object's name.
const HASH_DIGITS: usize = 12;

/// The name of what is created for one session alone: its cold pod, its own Service. A DNS label that no other session,
/// also none of the same name, shares: so that two controllers create one object.
#[must_use]
pub fn object_name(key: &SessionKey) -> String {
    // A Service's name must begin with a letter (RFC 1035, section 2.3.1).
    let letter = if key.name.starts_with(|c: char| c.is_ascii_digit()) { "s" } else { "" };
    let stem: String = letter
        .chars()
        .chain(key.name.chars())
        .map(|c| if c == '.' { '-' } else { c })
        .take(MAX_STEM)
        .collect();
    let hash = hex::encode(Sha256::digest(key.uid.as_bytes()));
    format!("{}-{}", stem.trim_end_matches('-'), &hash[..HASH_DIGITS])
}

/// The pod that is created for a session alone.
#[must_use]
pub fn cold_pod(key: &SessionKey) -> PodRef {
    PodRef::new(&key.namespace, object_name(key))
}

/// The labels of everything that is made for one session.
pub fn session_labels(key: &SessionKey) -> BTreeMap<String, String> {
    [(names::MANAGED_BY_LABEL, names::MANAGED_BY), (names::SESSION_UID_LABEL, &key.uid)]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_objects_name_is_a_dns_label_that_names_its_session() {
        let key = |name: &str, uid: &str| SessionKey {
            namespace: "n".into(),
            name: name.into(),
            uid: uid.into(),
        };
        assert_eq!(object_name(&key("a.b", "u")), "a-b-0bfe935e70c3");
        assert_ne!(object_name(&key("a", "u")), object_name(&key("a", "v")));
        assert!(object_name(&key("1st", "u")).starts_with("s1st-"));
        let long = object_name(&key(&"x.".repeat(100), "u"));
        assert!(long.len() <= 63 && !long.contains("--"), "{long}");
    }
}
