//! What errors repeat of a request: enough to know it by, so that no refusal is larger than what it refuses.

/// Bytes.
const LENGTH: usize = 256;

/// As much of a text as an error shows.
pub fn shown(text: &str) -> &str {
    &text[..text.floor_char_boundary(LENGTH)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_two_characters() {
        assert_eq!(shown("/status"), "/status");
        assert_eq!(shown(&"ä".repeat(1000)).len(), LENGTH);
        assert_eq!(shown(&format!("a{}", "ä".repeat(1000))).len(), LENGTH - 1);
    }
}
