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

/// Compares as many parts as `wanted` has; `None` where a part is not a number.
fn compare(offered: &str, wanted: &str) -> Option<Ordering> {
    let mut offered = offered.split('.');
    for part in wanted.split('.') {
        let wanted: u64 = part.parse().ok()?;
        let digits: String =
            offered.next().unwrap_or("0").chars().take_while(char::is_ascii_digit).collect();
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
