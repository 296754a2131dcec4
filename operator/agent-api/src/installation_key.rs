//! The installation key, from which come a token for each pod and an id for each session.

use uuid::Uuid;

use crate::{PodRef, hmac::hmac, pod_token::PodToken};

/// The bytes of an installation key.
pub const KEY_BYTES: usize = 32;

/// The secret that an installation's ids and tokens come from. Shows nothing of itself in a log.
#[derive(Clone)]
pub struct InstallationKey([u8; KEY_BYTES]);

impl std::fmt::Debug for InstallationKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("InstallationKey")
    }
}

impl InstallationKey {
    /// A key of exactly [`KEY_BYTES`] bytes.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    pub(crate) fn derive(&self, purpose: &str, parts: &[&str]) -> [u8; 32] {
        let mut message = purpose.as_bytes().to_vec();
        for part in parts {
            message.push(0);
            message.extend_from_slice(part.as_bytes());
        }
        hmac(&self.0, &message)
    }

    /// The token of one pod. Its name ends in a part that is never used twice, so the token is the pod's alone.
    #[must_use]
    pub fn pod_token(&self, pod: &PodRef) -> PodToken {
        PodToken::new(hex::encode(self.derive("pod-token", &[&pod.namespace, &pod.name])))
    }

    /// The WebDriver id of a session: a UUID of version 8 (RFC 9562, section 5.8).
    #[must_use]
    pub fn session_id(&self, uid: &str) -> Uuid {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&self.derive("session-id", &[uid])[..16]);
        Uuid::new_v8(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> InstallationKey {
        InstallationKey::new(&[7; KEY_BYTES]).unwrap()
    }

    #[test]
    fn a_session_id_is_a_uuid_that_only_the_key_gives_away() {
        let id = key().session_id("uid-1");
        assert_eq!(id.get_version_num(), 8);
        assert_eq!(id, key().session_id("uid-1"));
        assert_ne!(id, key().session_id("uid-2"));
        assert_ne!(id, InstallationKey::new(&[8; KEY_BYTES]).unwrap().session_id("uid-1"));
    }

    #[test]
    fn names_cannot_be_shifted_into_each_other() {
        assert_ne!(
            key().pod_token(&PodRef::new("a", "bc")),
            key().pod_token(&PodRef::new("ab", "c"))
        );
    }

    #[test]
    fn secrets_show_nothing_of_themselves() {
        let token = key().pod_token(&PodRef::new("a", "b"));
        assert_eq!(format!("{token:?}{:?}", key()), "PodTokenInstallationKey");
    }
}
