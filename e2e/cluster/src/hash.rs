//! Keys of what is built: the same inputs give the same key.

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use std::path::Path;

/// Collects inputs. Each is framed by its length, so that two inputs never run together.
#[derive(Default)]
pub struct Key(Sha256);

impl Key {
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        self.0.update((text.len() as u64).to_be_bytes());
        self.0.update(text);
        self
    }

    /// Adds a file's contents, not its path: all checkouts share a cache.
    pub fn file(mut self, path: &Path) -> Result<Self> {
        let contents = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
        self.0.update((contents.len() as u64).to_be_bytes());
        self.0.update(contents);
        Ok(self)
    }

    /// The key, short enough for a file name.
    #[must_use]
    pub fn done(self) -> String {
        hex::encode(self.0.finalize())[..16].to_owned()
    }
}

/// SHA-256 and length of a file, read in pieces.
pub fn digest(path: &Path) -> Result<(String, u64)> {
    use std::io::Read;
    let mut file = std::fs::File::open(path).with_context(|| format!("open {}", path.display()))?;
    let mut hasher = Sha256::new();
    let mut length = 0;
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = file.read(&mut buffer).with_context(|| format!("read {}", path.display()))?;
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
        length += count as u64;
    }
    Ok((format!("sha256:{}", hex::encode(hasher.finalize())), length))
}

/// SHA-256 of bytes, as registries write it.
#[must_use]
pub fn digest_of(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_inputs_give_the_same_key() {
        let key = || Key::default().text("a").text("b").done();
        assert_eq!(key(), key());
    }

    #[test]
    fn inputs_do_not_run_together() {
        let one = Key::default().text("ab").text("c").done();
        let other = Key::default().text("a").text("bc").done();
        assert_ne!(one, other);
    }

    #[test]
    fn a_digest_is_written_as_registries_write_it() {
        assert_eq!(
            digest_of(b""),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }
}
