//! `house subjects`: a commit's subject is one line of at most 72 characters.

use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The last commit from before this rule.
const BEFORE: &str = "011a06b4c95168daaa7ef259f32aa51071f86220";
const MAX_CHARS: usize = 72;

/// Prints the subjects since `base` that are longer. Where the history does not go back so far, nothing is checked.
pub fn run(base: Option<&str>) -> Result<bool> {
    let start = base.unwrap_or(BEFORE);
    if git(&["merge-base", "--is-ancestor", start, "HEAD"]).is_err() {
        ensure!(base.is_none(), "{start} is no ancestor of HEAD");
        eprintln!("the history does not go back to {start}: commit subjects are not checked");
        return Ok(true);
    }
    let log = git(&["log", "-z", "--no-merges", "--format=%h%n%B", &format!("{start}..HEAD")])?;
    let mut clean = true;
    for commit in log.split('\0') {
        let (hash, message) = commit.split_once('\n').unwrap_or((commit, ""));
        if let Some(problem) = problem(message).filter(|_| !hash.is_empty()) {
            println!("{hash}: {problem}");
            clean = false;
        }
    }
    Ok(clean)
}

fn problem(message: &str) -> Option<String> {
    let mut lines = message.lines();
    let subject = lines.next().unwrap_or_default();
    let chars = subject.chars().count();
    if subject.trim().is_empty() {
        Some("there is no subject".to_owned())
    } else if chars > MAX_CHARS {
        Some(format!("the subject has {chars} characters, {MAX_CHARS} are allowed: {subject}"))
    } else if lines.next().is_some_and(|line| !line.trim().is_empty()) {
        Some(format!("the subject goes on in a second line: {subject}"))
    } else {
        None
    }
}

fn git(arguments: &[&str]) -> Result<String> {
    let output = Command::new("git").args(arguments).output().context("run git")?;
    ensure!(
        output.status.success(),
        "git {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_one_line_of_at_most_72_characters() {
        let longest = "é".repeat(72);
        for (message, is_right) in [
            ("Add a check\n", true),
            (
                "Add a check\n\nThe body may be as long as it likes, also in one line of more than 72 characters.\n",
                true,
            ),
            (longest.as_str(), true),
            (&format!("{longest}x"), false),
            ("Add a check\nthat goes on\n", false),
            ("", false),
        ] {
            assert_eq!(problem(message).is_none(), is_right, "{message:?}");
        }
    }
}
