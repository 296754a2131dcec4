//! What options are written as: lists, switches, paths.

use serde_json::{Map, Value};

use super::verdict::Findings;

/// Takes the list of strings out that a member is; an empty one where there is none. What is something else is refused.
pub(super) fn take_texts(
    options: &mut Map<String, Value>,
    member: &str,
    findings: &mut Findings,
) -> Vec<String> {
    let texts = match options.remove(member) {
        None => Some(Vec::new()),
        Some(Value::Array(list)) => list
            .into_iter()
            .map(|value| if let Value::String(text) = value { Some(text) } else { None })
            .collect(),
        Some(_) => None,
    };
    texts.unwrap_or_else(|| {
        findings.refuse(format!("{member} must be a list of strings"));
        Vec::new()
    })
}

/// A switch's name and value as the browsers read them: dashes before it or not, up to its value, in lower case.
pub(super) fn switch(text: &str) -> (String, &str) {
    let text = text.trim().trim_start_matches('-');
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    (name.trim().to_ascii_lowercase(), value)
}

/// Whether a path is in a folder for what may be lost.
pub(super) fn is_temporary(path: &str) -> bool {
    let path = path.trim_matches(['"', '\'', ' ']).replace('\\', "/").to_ascii_lowercase();
    let folders = ["tmp", "temp", "shm"];
    let is_relative_up = path.split('/').any(|part| part == "..");
    path == "/dev/null"
        || !is_relative_up
            && path.split('/').any(|part| {
                folders.contains(&part) || part.starts_with("tmp") || part.starts_with("temp")
            })
}

/// Whether a path names a browser of this kind, wherever the client has it.
pub(super) fn is_program(path: &str, names: &[&str]) -> bool {
    let path = path.replace('\\', "/").to_ascii_lowercase();
    let file = path.rsplit('/').next().unwrap_or_default();
    let file = file.strip_suffix(".exe").unwrap_or(file);
    names.contains(&file)
}
