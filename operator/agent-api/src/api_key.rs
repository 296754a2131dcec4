//! API keys: what a program shows instead of a Kubernetes token. The cluster keeps the SHA-256 alone.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What every key begins with, so that it is known where it leaks.
const PREFIX: &str = "bok";
/// The bytes of the part that names the key, and of the part that is secret.
pub const ID_BYTES: usize = 5;
/// See [`ID_BYTES`].
pub const SECRET_BYTES: usize = 32;

/// A key: `bok_<id>_<secret>`, both hexadecimal. Shows nothing of its secret in a log.
#[derive(Clone)]
pub struct ApiKey {
    id: String,
    text: String,
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ApiKey({})", self.id)
    }
}

impl ApiKey {
    /// The key of these random bytes.
    #[must_use]
    pub fn new(id: [u8; ID_BYTES], secret: [u8; SECRET_BYTES]) -> Self {
        let id = hex::encode(id);
        let text = format!("{PREFIX}_{id}_{}", hex::encode(secret));
        Self { id, text }
    }

    /// Reads a key; `None` where the text is of another form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(PREFIX)?.strip_prefix('_')?.split_once('_')?;
        let is_hex = |text: &str, bytes: usize| {
            text.len() == 2 * bytes && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        };
        (is_hex(id, ID_BYTES) && is_hex(secret, SECRET_BYTES))
            .then(|| Self { id: id.to_owned(), text: text.to_owned() })
    }

    /// Whether whoever sends this means a key, also one that is cut short or misspelt.
    #[must_use]
    pub fn is_meant_by(text: &str) -> bool {
        text.strip_prefix(PREFIX).is_some_and(|rest| rest.starts_with('_'))
    }

    /// The part that names it, which is no secret.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// All of it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// What the cluster keeps: 64 hexadecimal digits.
    #[must_use]
    pub fn hash(&self) -> String {
        hex::encode(Sha256::digest(self.text.as_bytes()))
    }

    /// Whether that is this key's hash, in constant time.
    #[must_use]
    pub fn has_hash(&self, hash: &str) -> bool {
        self.hash().as_bytes().ct_eq(hash.as_bytes()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_was_written_and_known_by_its_hash() {
        let key = ApiKey::new([1; ID_BYTES], [2; SECRET_BYTES]);
        let read = ApiKey::parse(key.reveal()).unwrap();
        assert_eq!(read.id(), "0101010101");
        assert!(read.has_hash(&key.hash()));
        assert!(!read.has_hash(&ApiKey::new([1; ID_BYTES], [3; SECRET_BYTES]).hash()));
        assert_eq!(format!("{key:?}"), "ApiKey(0101010101)");
    }

    #[test]
    fn what_has_another_form_is_no_key() {
        let long = format!("bok_0101010101_{}", "02".repeat(33));
        for text in ["", "bok_", "bok_01_02", "x", &long, "BOK_0101010101_02"] {
            assert!(ApiKey::parse(text).is_none(), "{text}");
        }
    }
}
