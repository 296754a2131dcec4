//! What of a line that a driver or browser wrote may be kept in a record. Pure.

use std::{borrow::Cow, sync::LazyLock};

use regex::{Captures, Regex};

/// What stands for a part that was left out.
const LEFT_OUT: &str = "[...]";

/// In lines that would only push others out: a page's own words, and that a container has no D-Bus, which Chrome says often.
const NOISE: [&str; 3] = [":CONSOLE:", ":CONSOLE(", ":ERROR:dbus/"];

/// Native stacks.
static UNTOLD: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^\s*#\d+ 0x").ok());

/// In this order: what a later one cuts was not cut by an earlier one.
static RULES: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
    let rules = [
        // Colours of a terminal (ECMA-48, CSI sequences), and other control characters.
        (r"\x1b\[[0-9;?]*[ -/]*[@-~]", ""),
        (r"\p{Cc}+", " "),
        // A URL's user, query and fragment.
        (
            r#"([A-Za-z][A-Za-z0-9+.-]*://)(?:[^\s/?#"']*@)?([^\s?#"'<>]*)(?:[?#][^\s"'<>]*)?"#,
            "$1$2",
        ),
        (r#"(/[^\s?"']*)\?[^\s"'<>]+"#, "$1"),
        // From the name of a secret to the end of its line.
        (
            r#"(?i)([\w-]*(?:authori[sz]ation|cookie|passw|secret|token|credential|api[-_]?key|signing[-_]?key)[\w-]*)["']?\s*[:=].*"#,
            "$1: [...]",
        ),
        (r"(?i)\b(bearer|basic|digest)\s+\S.*", "$1 [...]"),
        (r"(?i)\b(data|blob|javascript|filesystem):[^\s]+", "$1:[...]"),
        (r"\b0x[0-9a-fA-F]+\b", LEFT_OUT),
        (r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b", LEFT_OUT),
        (r"\b[0-9a-fA-F]{16,}\b", LEFT_OUT),
    ];
    rules.into_iter().filter_map(|(rule, with)| Some((Regex::new(rule).ok()?, with))).collect()
});

/// What may be an id or a key, where it has digits and letters.
static LONG_WORD: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"[A-Za-z0-9_+=-]{20,}").ok());

/// Whether nobody needs a line. Cheap: it is asked of each.
pub fn is_noise(line: &str) -> bool {
    line.trim().is_empty() || NOISE.iter().any(|noise| line.contains(noise))
}

/// A line without ids, queries of URLs, cookies, credentials, tokens and addresses in memory. `None`: nothing of it may be
/// kept.
pub fn redacted(line: &str) -> Option<String> {
    if is_noise(line) || UNTOLD.as_ref().is_none_or(|untold| untold.is_match(line)) {
        return None;
    }
    let mut kept = Cow::Borrowed(line);
    for (rule, with) in RULES.iter() {
        kept = Cow::Owned(rule.replace_all(&kept, *with).into_owned());
    }
    let kept = LONG_WORD.as_ref()?.replace_all(&kept, |word: &Captures<'_>| {
        let word = &word[0];
        let is_key = word.bytes().any(|b| b.is_ascii_digit())
            && word.bytes().any(|b| b.is_ascii_alphabetic());
        if is_key { LEFT_OUT.to_owned() } else { word.to_owned() }
    });
    let kept = kept.trim();
    (!kept.is_empty()).then(|| kept.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_can_be_read() {
        assert!(UNTOLD.is_some() && LONG_WORD.is_some());
        assert_eq!(RULES.len(), 10);
    }

    #[test]
    fn what_a_person_needs_is_kept() {
        for line in [
            "chrome: error while loading shared libraries: libnss3.so: cannot open shared object file",
            "[7:7:1129/100000.000000:ERROR:browser/zygote_host.cc:100] No usable sandbox!",
            "exec /usr/lib/x86_64-linux-gnu/chromium: exit status 127",
            "listening on http://127.0.0.1:6667/wd/hub",
            "*** You are running in headless mode.",
        ] {
            assert_eq!(redacted(line).as_deref(), Some(line));
        }
    }

    #[test]
    fn no_secret_is_kept() {
        for (line, kept) in [
            (
                "GET https://u:p@shop.example/cart?key=1#top failed",
                "GET https://shop.example/cart failed",
            ),
            ("GET /cart?user=alice HTTP/1.1", "GET /cart HTTP/1.1"),
            ("Cookie: a=b; c=d", "Cookie: [...]"),
            (r#"{"access_token": "abc", "x": 1}"#, r#"{"access_token: [...]"#),
            ("proxy-authorization=Basic YTpi", "proxy-authorization: [...]"),
            ("sent Bearer abc.def", "sent Bearer [...]"),
            ("--proxy-password='x y'", "--proxy-password: [...]"),
            ("session 5f0c1d2e-0000-4000-8000-123456789abc", "session [...]"),
            ("COMMAND 0123456789abcdef0123456789abcdef", "COMMAND [...]"),
            ("key AKIAIOSFODNN7EXAMPLE0 here", "key [...] here"),
            ("at 0x55b1f73f297e", "at [...]"),
            ("data:text/html,secret-page", "data:[...]"),
            ("\u{1b}[31mred\u{1b}[0m\tand\u{7}", "red and"),
        ] {
            assert_eq!(redacted(line).as_deref(), Some(kept), "{line}");
        }
    }

    #[test]
    fn a_pages_words_and_native_stacks_are_left_out() {
        for line in [
            r#"[7:7:1129/1.2:INFO:CONSOLE:1] "my secret", source: http://a/ (1)"#,
            r#"[7:7:1129/1.2:INFO:CONSOLE(1)] "my secret", source: http://a/ (1)"#,
            "#3 0x55b1f73f297e <unknown>",
            "[7:7:1129/1.2:ERROR:dbus/bus.cc:405] Failed to connect to the bus",
            "  \t ",
        ] {
            assert_eq!(redacted(line), None, "{line}");
        }
    }
}
