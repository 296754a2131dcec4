//! The browsers that the rules are run on.

use std::fmt::{self, Display};

/// A browser that the rules are run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Browser {
    /// Chromium.
    Chrome,
    Firefox,
}

impl Browser {
    /// Every browser, in the order of the table's columns.
    pub const ALL: [Self; 2] = [Self::Chrome, Self::Firefox];

    /// Its browserName.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chrome => "chrome",
            Self::Firefox => "firefox",
        }
    }
}

impl Display for Browser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Chrome => "Chrome",
            Self::Firefox => "Firefox",
        })
    }
}
