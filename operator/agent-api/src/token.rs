//! How the operator's parts prove themselves to each other.
//!
//! From one installation key come a token for each pod and an id for each session. A pod is told only its token's
//! SHA-256. Controller and gateway show the token; the agent answers a challenge with an HMAC under that hash, so
//! that whoever has the pod's address later gets no traffic.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::PodRef;

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

    fn derive(&self, purpose: &str, parts: &[&str]) -> [u8; 32] {
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
        PodToken(hex::encode(self.derive("pod-token", &[&pod.namespace, &pod.name])))
    }

    /// What makes a URL a credential: for that session alone, until that second since 1970.
    #[must_use]
    pub fn link(&self, session_id: &Uuid, until: i64) -> String {
        let (id, until) = (session_id.simple().to_string(), format!("{until:x}"));
        let seal = hex::encode(self.derive("link", &[&id, &until]));
        format!("{id}.{until}.{seal}")
    }

    /// The session that a link is for; `None` where it is none of ours, or its time is over.
    #[must_use]
    pub fn open_link(&self, link: &str, now: i64) -> Option<Uuid> {
        let (id, rest) = link.split_once('.')?;
        let (until, seal) = rest.split_once('.')?;
        let expected = hex::encode(self.derive("link", &[id, until]));
        let is_ours = bool::from(expected.as_bytes().ct_eq(seal.as_bytes()));
        let is_in_time = i64::from_str_radix(until, 16).is_ok_and(|until| now < until);
        (is_ours && is_in_time).then(|| Uuid::try_parse(id).ok()).flatten()
    }

    /// What makes a URL show a session to whoever has it, and nothing more: neither is a session's id in it, nor leads its uid to
    /// that. `nonce` tells this share of a session from those before it.
    #[must_use]
    pub fn share(&self, uid: &str, nonce: &str) -> String {
        format!("{uid}.{nonce}.{}", hex::encode(self.derive("share", &[uid, nonce])))
    }

    /// The uid and the nonce of a share; `None` where it is none of ours.
    #[must_use]
    pub fn open_share<'a>(&self, share: &'a str) -> Option<(&'a str, &'a str)> {
        let (uid, rest) = share.split_once('.')?;
        let (nonce, seal) = rest.split_once('.')?;
        let expected = hex::encode(self.derive("share", &[uid, nonce]));
        bool::from(expected.as_bytes().ct_eq(seal.as_bytes())).then_some((uid, nonce))
    }

    /// The WebDriver id of a session: a UUID of version 8 (RFC 9562, section 5.8).
    #[must_use]
    pub fn session_id(&self, uid: &str) -> Uuid {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&self.derive("session-id", &[uid])[..16]);
        Uuid::new_v8(bytes)
    }
}

/// What controller and gateway show to one pod's agent.
#[derive(Clone, PartialEq, Eq)]
pub struct PodToken(String);

impl std::fmt::Debug for PodToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PodToken")
    }
}

impl PodToken {
    /// The token's text.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What the pod is told.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        TokenHash(Sha256::digest(self.0.as_bytes()).into())
    }
}

/// The SHA-256 of a pod's token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// Reads 64 hexadecimal digits.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }

    /// 64 hexadecimal digits.
    #[must_use]
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }

    /// Whether this is the hash of `shown`, in constant time.
    #[must_use]
    pub fn accepts(&self, shown: &str) -> bool {
        Sha256::digest(shown.as_bytes()).ct_eq(&self.0).into()
    }

    /// The agent's answer to a challenge.
    #[must_use]
    pub fn prove(&self, challenge: &str) -> String {
        hex::encode(hmac(&self.0, challenge.as_bytes()))
    }

    /// Whether `proof` answers `challenge`, in constant time.
    #[must_use]
    pub fn is_proven_by(&self, challenge: &str, proof: &str) -> bool {
        self.prove(challenge).as_bytes().ct_eq(proof.as_bytes()).into()
    }
}

fn hmac(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    let mut mac =
        <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// Whether two strings are equal, in a time that depends on their lengths only.
#[must_use]
pub fn equal(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> InstallationKey {
        InstallationKey::new(&[7; KEY_BYTES]).unwrap()
    }

    #[test]
    fn a_token_is_accepted_by_its_own_pod_alone() {
        let token = key().pod_token(&PodRef::new("team-a", "checkout-1"));
        assert!(token.hash().accepts(token.reveal()));
        assert!(
            !key().pod_token(&PodRef::new("team-a", "checkout-2")).hash().accepts(token.reveal())
        );
        assert!(
            !key().pod_token(&PodRef::new("team-b", "checkout-1")).hash().accepts(token.reveal())
        );
    }

    #[test]
    fn names_cannot_be_shifted_into_each_other() {
        assert_ne!(
            key().pod_token(&PodRef::new("a", "bc")),
            key().pod_token(&PodRef::new("ab", "c"))
        );
    }

    #[test]
    fn an_agent_proves_that_it_was_told_the_hash() {
        let hash = key().pod_token(&PodRef::new("team-a", "checkout-1")).hash();
        assert!(hash.is_proven_by("challenge", &hash.prove("challenge")));
        assert!(!hash.is_proven_by("another", &hash.prove("challenge")));
        assert_eq!(TokenHash::from_hex(&hash.to_hex()), Some(hash));
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
    fn a_link_is_for_one_session_and_for_a_time() {
        let (id, other) = (key().session_id("uid-1"), key().session_id("uid-2"));
        let link = key().link(&id, 1000);
        assert_eq!(key().open_link(&link, 999), Some(id));
        assert_eq!(key().open_link(&link, 1000), None);
        let of_other = link.replace(&id.simple().to_string(), &other.simple().to_string());
        let for_longer = link.replace(".3e8.", ".fff8.");
        for forged in [of_other.as_str(), for_longer.as_str(), "", "a.b.c", &link[..link.len() - 1]]
        {
            assert_eq!(key().open_link(forged, 0), None, "{forged}");
        }
        assert_eq!(InstallationKey::new(&[8; KEY_BYTES]).unwrap().open_link(&link, 0), None);
    }

    #[test]
    fn a_share_is_of_one_session_and_does_not_tell_its_id() {
        let share = key().share("uid-1", "n");
        assert_eq!(key().open_share(&share), Some(("uid-1", "n")));
        assert!(!share.contains(&key().session_id("uid-1").simple().to_string()));
        for forged in [&share.replace("uid-1", "uid-2"), &share.replace(".n.", ".m."), "", "a.b.c"]
        {
            assert_eq!(key().open_share(forged), None, "{forged}");
        }
        assert_eq!(InstallationKey::new(&[8; KEY_BYTES]).unwrap().open_share(&share), None);
    }

    #[test]
    fn secrets_show_nothing_of_themselves() {
        let token = key().pod_token(&PodRef::new("a", "b"));
        assert_eq!(format!("{token:?}{:?}", key()), "PodTokenInstallationKey");
    }
}
