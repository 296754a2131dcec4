//! What the echo driver sends, and what it says of what it got: its clients make and check the same.

use bytes::Bytes;
use serde_json::{Value, json};

/// Bytes per piece. A prime, so that a lost or doubled piece shifts the rest and changes the checksum.
const BLOCK: u64 = 65_521;

/// `length` characters that need no escape in JSON, in pieces.
pub fn text(length: u64) -> impl Iterator<Item = Bytes> + Send {
    let letter = |i: u64| b"abcdefghijklmnopqrstuvwxyz"[(i * i / 7 % 26) as usize];
    let block = Bytes::from_iter((0..BLOCK).map(letter));
    (0..length.div_ceil(BLOCK)).map(move |at| {
        let left = length - at * BLOCK;
        // A block has a usize's length.
        block.slice(..left.min(BLOCK) as usize)
    })
}

/// Length and Fletcher checksum (64 bits a sum) of a stream: sensitive to each byte and its position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checksum {
    length: u64,
    bytes: u64,
    sums: u64,
}

impl Checksum {
    /// The checksum of pieces that make up one text.
    pub fn of<T: AsRef<[u8]>>(pieces: impl IntoIterator<Item = T>) -> Self {
        let mut checksum = Self::default();
        pieces.into_iter().for_each(|piece| checksum.add(piece.as_ref()));
        checksum
    }

    pub fn add(&mut self, piece: &[u8]) {
        self.length += piece.len() as u64;
        for byte in piece {
            self.bytes = self.bytes.wrapping_add(u64::from(*byte));
            self.sums = self.sums.wrapping_add(self.bytes);
        }
    }

    /// As the driver reports it.
    #[must_use]
    pub fn json(self) -> Value {
        json!({"length": self.length, "checksum": format!("{:016x}{:016x}", self.bytes, self.sums)})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_as_long_as_asked_for_and_says_nothing_of_its_pieces() {
        for length in [0, 1, BLOCK, BLOCK + 1, 1 << 20] {
            let whole: Vec<u8> = text(length).flatten().collect();
            assert_eq!(whole.len() as u64, length);
            assert_eq!(Checksum::of([&whole]), Checksum::of(text(length)));
            assert!(whole.iter().all(u8::is_ascii_lowercase));
        }
    }

    #[test]
    fn what_is_lost_doubled_or_moved_is_noticed() {
        let whole = Checksum::of(["abc", "def"]);
        for other in [&["abc"][..], &["abc", "def", "def"], &["def", "abc"], &["abd", "cef"]] {
            assert_ne!(Checksum::of(other), whole, "{other:?}");
        }
    }
}
