//! How a pod's agent and those who call it prove themselves to each other.
//!
//! A pod is told only its token's SHA-256. Controller and gateway show the token; the agent answers a challenge with an
//! HMAC under that hash, so that whoever has the pod's address later gets no traffic.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::hmac::hmac;

/// What controller and gateway show to one pod's agent.
#[derive(Clone, PartialEq, Eq)]
pub struct PodToken(String);

impl std::fmt::Debug for PodToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PodToken")
    }
}

impl PodToken {
    pub(crate) fn new(text: String) -> Self {
        Self(text)
    }

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        PodRef,
        installation_key::{InstallationKey, KEY_BYTES},
    };

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
    fn an_agent_proves_that_it_was_told_the_hash() {
        let hash = key().pod_token(&PodRef::new("team-a", "checkout-1")).hash();
        assert!(hash.is_proven_by("challenge", &hash.prove("challenge")));
        assert!(!hash.is_proven_by("another", &hash.prove("challenge")));
        assert_eq!(TokenHash::from_hex(&hash.to_hex()), Some(hash));
    }
}
