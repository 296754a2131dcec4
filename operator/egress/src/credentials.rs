//! What a proxy knows its users by.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The most bytes of a username and of a password (RFC 1929, section 2).
const MAX_BYTES: usize = 255;

/// Why a username and a password are none of a proxy's, in words that follow their owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    #[error("has no username")]
    NoUsername,
    #[error("has a username with a colon, which HTTP's Basic scheme cannot carry")]
    Colon,
    #[error("has a username or a password of more than {MAX_BYTES} bytes")]
    TooLong,
    #[error("has a username or a password with a control character")]
    Control,
}

/// A username and a password. Nothing shows them.
#[derive(Clone, Deserialize, PartialEq, Eq, Hash, Serialize)]
pub struct Credentials {
    username: String,
    password: String,
}

impl Credentials {
    /// # Errors
    /// A proxy could not be told them.
    pub fn new(username: String, password: String) -> Result<Self, CredentialsError> {
        let credentials = Self { username, password };
        credentials.check()?;
        Ok(credentials)
    }

    /// Messages bring them, too.
    ///
    /// # Errors
    /// See [`Self::new`].
    pub fn check(&self) -> Result<(), CredentialsError> {
        let Self { username, password } = self;
        if username.is_empty() {
            return Err(CredentialsError::NoUsername);
        }
        if username.contains(':') {
            return Err(CredentialsError::Colon);
        }
        if username.len().max(password.len()) > MAX_BYTES {
            return Err(CredentialsError::TooLong);
        }
        if [username, password].into_iter().any(|text| text.contains(char::is_control)) {
            return Err(CredentialsError::Control);
        }
        Ok(())
    }

    #[must_use]
    pub fn username(&self) -> &str {
        &self.username
    }

    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_proxy_can_be_told_is_named_and_nothing_shows_a_password() {
        let long = "x".repeat(256);
        for (username, password, expected) in [
            ("user", "p:ä ss", Ok(())),
            ("user", "", Ok(())),
            ("", "pass", Err(CredentialsError::NoUsername)),
            ("us:er", "pass", Err(CredentialsError::Colon)),
            (long.as_str(), "pass", Err(CredentialsError::TooLong)),
            ("user", long.as_str(), Err(CredentialsError::TooLong)),
            ("us\r\ner", "pass", Err(CredentialsError::Control)),
            ("user", "pa\nss", Err(CredentialsError::Control)),
            ("user", "pa\0ss", Err(CredentialsError::Control)),
        ] {
            let made = Credentials::new(username.to_owned(), password.to_owned());
            assert_eq!(made.as_ref().map(drop).map_err(|error| *error), expected, "{username:?}");
        }
        let made = Credentials::new("user".to_owned(), "secret".to_owned()).unwrap();
        assert_eq!(format!("{made:?}"), "Credentials");
    }
}
