//! What is decided about options, one by one.

use super::table::{Entry, Kind, Loss};

/// The longest value that a message repeats, in characters.
const MAX_WORDS: usize = 200;

/// How a class reads vendor options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Whether what cannot be allowed is refused even where its loss harms nobody.
    pub strict: bool,
    /// Whether the class's pages are confined by the browser's own sandbox.
    pub browser_sandbox: bool,
}

/// What becomes of one option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Kept,
    Dropped,
    Refused(Kind),
}

impl Policy {
    /// `is_temporary`: whether the value is a temporary folder.
    pub(super) fn fate(self, entry: Entry, is_temporary: bool) -> Fate {
        let Entry { kind, loss } = entry;
        let harms_nobody =
            loss == Loss::Harmless || loss == Loss::HarmlessIfTemporary && is_temporary;
        // Where only the container confines, no browser's sandbox changes anything.
        let changes_nothing = kind == Kind::Sandbox && !self.browser_sandbox;
        if harms_nobody && !self.strict && !changes_nothing {
            Fate::Dropped
        } else if kind == Kind::Harmless || changes_nothing {
            Fate::Kept
        } else {
            Fate::Refused(kind)
        }
    }
}

/// What was found on the way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Findings {
    pub(super) ignored: Vec<String>,
    pub(super) refusals: Vec<String>,
}

impl Findings {
    pub(super) fn ignore(&mut self, what: impl AsRef<str>) {
        push(&mut self.ignored, what.as_ref());
    }

    pub(super) fn refuse(&mut self, what: impl AsRef<str>) {
        push(&mut self.refusals, what.as_ref());
    }

    /// Whether the option stays.
    pub(super) fn settle(&mut self, fate: Fate, what: &str) -> bool {
        match fate {
            Fate::Kept => return true,
            Fate::Dropped => self.ignore(what),
            Fate::Refused(kind) => self.refuse(format!("{what} is not allowed{}", kind.why())),
        }
        false
    }
}

fn push(list: &mut Vec<String>, what: &str) {
    let what: String = what.chars().take(MAX_WORDS).collect();
    if !list.contains(&what) {
        list.push(what);
    }
}
