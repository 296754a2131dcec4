//! `moz:firefoxOptions.profile`: a zip in base64, of which preferences are read.

use std::io::{Cursor, Read};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};
use zip::{ZipArchive, result::ZipError};

/// Files that have preferences; the later one's hold.
const PREFERENCES: [&str; 2] = ["prefs.js", "user.js"];
/// Files that clients send along, and that say nothing.
const NEEDLESS: [&str; 9] = [
    ".parentlock",
    "compatibility.ini",
    "extensions.ini",
    "lock",
    "parent.lock",
    "search.json.mozlz4",
    "sessionstore.js",
    "times.json",
    "webdriver_prefs.json",
];
const MAX_FILES: usize = 64;
/// The most bytes of one file, once it is unpacked.
const MAX_FILE_BYTES: u64 = 256 * 1024;
const MAX_PREFERENCES: usize = 1_000;

/// What is wrong with a profile, in words that follow its name.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProfileError {
    #[error("must be a zip in base64: {0}")]
    Base64(#[from] base64::DecodeError),
    #[error("must be a zip in base64: {0}")]
    Zip(#[from] ZipError),
    #[error("has more than {MAX_FILES} files")]
    Files,
    #[error("may have preferences only (user.js, prefs.js); it has {0}")]
    NotPreferences(String),
    #[error("has {0} of more than {MAX_FILE_BYTES} bytes")]
    Size(&'static str),
    #[error("has {0} that cannot be read: {1}")]
    Unreadable(&'static str, std::io::Error),
    #[error("has {0} with more than a preference in line {1}")]
    Line(&'static str, usize),
    #[error("has more than {MAX_PREFERENCES} preferences")]
    Preferences,
}

/// The preferences of a profile that has nothing else.
pub(super) fn preferences(profile: &str) -> Result<Map<String, Value>, ProfileError> {
    let text: String = profile.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let mut archive = ZipArchive::new(Cursor::new(STANDARD.decode(text)?))?;
    if archive.len() > MAX_FILES {
        return Err(ProfileError::Files);
    }
    for name in archive.file_names() {
        let name = name?;
        if !is_known(&name) {
            return Err(ProfileError::NotPreferences(name.chars().take(100).collect()));
        }
    }
    let mut found = Map::new();
    for file in PREFERENCES {
        let text = match archive.by_name(file) {
            Ok(entry) => read(file, entry)?,
            Err(ZipError::FileNotFound) => continue,
            Err(error) => return Err(error.into()),
        };
        for (line, text) in text.lines().enumerate() {
            match preference(text) {
                Line::Nothing => {}
                Line::Preference(name, value) => drop(found.insert(name, value)),
                Line::Other => return Err(ProfileError::Line(file, line + 1)),
            }
        }
        if found.len() > MAX_PREFERENCES {
            return Err(ProfileError::Preferences);
        }
    }
    Ok(found)
}

fn is_known(name: &str) -> bool {
    name.ends_with('/') || PREFERENCES.contains(&name) || NEEDLESS.contains(&name)
}

/// However much the archive says that it unpacks to.
fn read(file: &'static str, entry: impl Read) -> Result<String, ProfileError> {
    let mut text = String::new();
    let mut bounded = entry.take(MAX_FILE_BYTES + 1);
    bounded.read_to_string(&mut text).map_err(|error| ProfileError::Unreadable(file, error))?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(ProfileError::Size(file));
    }
    Ok(text)
}

enum Line {
    Nothing,
    Preference(String, Value),
    Other,
}

/// `user_pref("name", value);`, whose arguments are JSON as all that write such files have it.
fn preference(line: &str) -> Line {
    let line = line.trim();
    if line.is_empty() || ["//", "#", "/*", "*"].iter().any(|comment| line.starts_with(comment)) {
        return Line::Nothing;
    }
    let arguments = line.strip_prefix("user_pref(").and_then(|rest| {
        let rest = rest.trim_end().trim_end_matches(';').trim_end();
        rest.strip_suffix(')')
    });
    let pair = arguments.and_then(|arguments| {
        serde_json::from_str::<(String, Value)>(&format!("[{arguments}]")).ok()
    });
    match pair {
        Some((name, value @ (Value::Bool(_) | Value::Number(_) | Value::String(_)))) => {
            Line::Preference(name, value)
        }
        _ => Line::Other,
    }
}
