//! What strings have in common that come into messages, arguments, headers or URLs.

/// The pattern of a name or a URL: no spaces, and no control or invisible characters.
pub(crate) const WORD: &str = r"^[^\pC\pZ]+$";
/// The pattern of a text in one line.
pub(crate) const LINE: &str = r"^[^\pC\x{2028}\x{2029}]*$";
