//! Why a session can never be had.

use crds::Reason;

/// Why a session can never be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub reason: Reason,
    /// The field of the object, for example `spec.features.verified`.
    pub field: &'static str,
    /// For a person, without the field: what it may be.
    pub words: String,
}

impl Refusal {
    /// For a person: the field, and what it may be.
    #[must_use]
    pub fn message(&self) -> String {
        format!("{}: {}", self.field, self.words)
    }
}

pub(crate) fn refuse<T>(
    reason: Reason,
    field: &'static str,
    words: impl Into<String>,
) -> Result<T, Refusal> {
    Err(Refusal { reason, field, words: words.into() })
}

/// Names for a message.
pub(crate) fn names_of(names: impl Iterator<Item = String>) -> String {
    let names: Vec<String> = names.collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
