//! Browser versions: dotted numbers, compared part by part.

use std::cmp::Ordering;

/// Whether `offered` satisfies `wanted`: an operator (`<`, `<=`, `>`, `>=`) and a version, or a version that is
/// a whole-part prefix of the offered one (`156` and `156.0` match `156.0.8078.79`).
#[must_use]
pub fn matches(wanted: &str, offered: &str) -> bool {
    let wanted = wanted.trim();
    let compare = |version: &str, accept: fn(Ordering) -> bool| {
        compare(offered, version.trim()).is_some_and(accept)
    };
    if let Some(version) = wanted.strip_prefix("<=") {
        compare(version, |order| order != Ordering::Greater)
    } else if let Some(version) = wanted.strip_prefix(">=") {
        compare(version, |order| order != Ordering::Less)
    } else if let Some(version) = wanted.strip_prefix('<') {
        compare(version, |order| order == Ordering::Less)
    } else if let Some(version) = wanted.strip_prefix('>') {
        compare(version, |order| order == Ordering::Greater)
    } else {
        offered == wanted || offered.strip_prefix(wanted).is_some_and(|rest| rest.starts_with('.'))
    }
}

/// Whether a browser of the version `found` may be called `said`: it has at least as many parts, with the same numbers. Letters
/// do not count: a distribution says `140.5.0esr` of what calls itself `140.5.0`.
#[must_use]
pub fn agrees(said: &str, found: &str) -> bool {
    let numbers = |version: &str| -> Vec<Option<u64>> {
        version.trim().split('.').map(|part| leading_number(part).parse().ok()).collect()
    };
    let (said, found) = (numbers(said), numbers(found));
    found.len() >= said.len() && said.iter().zip(&found).all(|(said, found)| said == found)
}

fn leading_number(part: &str) -> &str {
    part.split_once(|c: char| !c.is_ascii_digit()).map_or(part, |(number, _)| number)
}

/// Compares as many parts as `wanted` has; `None` where a part is not a number.
fn compare(offered: &str, wanted: &str) -> Option<Ordering> {
    let mut offered = offered.split('.');
    for part in wanted.split('.') {
        let wanted: u64 = part.parse().ok()?;
        let digits = leading_number(offered.next().unwrap_or("0"));
        let order = digits.parse::<u64>().ok()?.cmp(&wanted);
        if order != Ordering::Equal {
            return Some(order);
        }
    }
    Some(Ordering::Equal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_may_be_called_by_fewer_parts_and_a_distributions_letters() {
        for (said, found, expected) in [
            ("156", "156.0.8078.79", true),
            ("156.0", "156.0.8078.79", true),
            ("150", "156.0.8078.79", false),
            ("15", "156.0.8078.79", false),
            ("156.1", "156.0.8078.79", false),
            ("156.0.8078.79", "156", false),
            ("140.5.0esr", "140.5.0", true),
            ("140.5.0", "140.5.0esr", true),
            ("140.5.0esr", "140.6.0", false),
            ("156.0a1", "156.0a1", true),
        ] {
            assert_eq!(agrees(said, found), expected, "{said} of {found}");
        }
    }

    #[test]
    fn versions_are_compared_by_their_parts() {
        for (wanted, offered, expected) in [
            ("156", "156.0.8078.79", true),
            ("156.0", "156.0.8078.79", true),
            ("15", "156.0.8078.79", false),
            ("156.0.8078.79", "156.0.8078.79", true),
            (">=100", "156.0.8078.79", true),
            ("> 156", "156.0.8078.79", false),
            ("<=156", "156.0.8078.79", true),
            ("<156", "156.0.8078.79", false),
            (">=9", "156.0", true),
            (">=140.6", "140.5.0esr", false),
            (">=140.5.0", "140.5.0esr", true),
            (">=abc", "156.0", false),
            ("stable", "156.0", false),
        ] {
            assert_eq!(matches(wanted, offered), expected, "{wanted} on {offered}");
        }
    }
}
