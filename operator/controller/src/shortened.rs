//! Texts for people that must not be long. Pure.

use std::borrow::Cow;

const BETWEEN: &str = " [...] ";

/// A text of at most `max` bytes: of a longer one the beginning, which says what happened, and the end, which is the newest.
pub fn shortened(text: &str, max: usize) -> Cow<'_, str> {
    if text.len() <= max {
        return Cow::Borrowed(text);
    }
    let half = max.saturating_sub(BETWEEN.len()) / 2;
    let (begin, end) = (text.floor_char_boundary(half), text.ceil_char_boundary(text.len() - half));
    Cow::Owned(format!("{}{BETWEEN}{}", &text[..begin], &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_keeps_its_beginning_and_its_end() {
        assert_eq!(shortened("abc", 3), "abc");
        assert_eq!(shortened("the beginning, much, the end", 21), "the beg [...] the end");
        for text in ["ä".repeat(1000), format!("a{}", "ä".repeat(1000))] {
            let short = shortened(&text, 101);
            assert!((95..=101).contains(&short.len()), "{}", short.len());
        }
    }
}
