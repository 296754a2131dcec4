//! The share of a session: a URL that shows the session to whoever has it, and lets nobody drive it.

use crds::{BrowserSession, names::SHARE_ANNOTATION};
use jiff::Timestamp;
use kube::ResourceExt;
use serde::{Deserialize, Serialize};

const NONCE_DIGITS: usize = 32;

/// The share of a session, in an annotation of its object, so that every replica knows it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Share {
    /// What tells it from the shares that the session had before: 32 hexadecimal digits.
    pub nonce: String,
    pub views: u64,
    pub last_viewed_at: Option<Timestamp>,
}

impl Share {
    /// One that nobody has viewed.
    pub fn new() -> Self {
        Self { nonce: uuid::Uuid::new_v4().simple().to_string(), views: 0, last_viewed_at: None }
    }

    /// That of a session, if it is shared. Whoever may patch sessions may have written anything, so it is checked.
    pub fn of(session: &BrowserSession) -> Option<Self> {
        let share: Self =
            serde_json::from_str(session.annotations().get(SHARE_ANNOTATION)?).ok()?;
        let is_nonce = share.nonce.len() == NONCE_DIGITS
            && share.nonce.bytes().all(|digit| digit.is_ascii_hexdigit());
        is_nonce.then_some(share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_annotation_is_believed_only_as_far_as_it_can_be_a_share() {
        let of = |text: &str| {
            let mut session = BrowserSession::default();
            session.annotations_mut().insert(SHARE_ANNOTATION.to_owned(), text.to_owned());
            Share::of(&session)
        };
        let share = Share::new();
        assert_eq!(of(&json!(share).to_string()), Some(share));
        for text in [
            "",
            "{}",
            r#"{"nonce": "a.b", "views": 0, "lastViewedAt": null}"#,
            r#"{"nonce": "\"><script>aaaaaaaaaaaaaaaaaaaaaa", "views": 0, "lastViewedAt": null}"#,
            r#"{"nonce": "0123456789abcdef0123456789abcdef", "views": -1, "lastViewedAt": null}"#,
        ] {
            assert_eq!(of(text), None, "{text}");
        }
        assert_eq!(Share::of(&BrowserSession::default()), None);
    }
}
