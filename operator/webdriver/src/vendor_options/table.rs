//! The tables of the browsers' switches and preferences, and what a name says that is in neither.

use std::{collections::HashMap, sync::LazyLock};

/// What an option could do to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Harmless,
    Program,
    File,
    Read,
    Network,
    Sandbox,
    Debugging,
    Privilege,
}

impl Kind {
    fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "harmless" => Self::Harmless,
            "program" => Self::Program,
            "file" => Self::File,
            "read" => Self::Read,
            "network" => Self::Network,
            "sandbox" => Self::Sandbox,
            "debugging" => Self::Debugging,
            "privilege" => Self::Privilege,
            _ => return None,
        })
    }

    /// Why it is refused, in words that follow "is not allowed".
    pub(super) fn why(self) -> &'static str {
        match self {
            Self::Harmless => "",
            Self::Program => ": it could run a program or load a library",
            Self::File => ": it writes to the pod's files",
            Self::Read => ": it reads the pod's files",
            Self::Network => ": it changes the route of the traffic",
            Self::Sandbox => {
                ": this class keeps the browser's own sandbox, which works in its pods; leave it out"
            }
            Self::Debugging => ": the way to the browser is the session's own",
            Self::Privilege => ": it gives pages what is the browser's own",
        }
    }
}

/// What becomes of an option that is not passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// Somebody counts on it.
    Matters,
    /// It harms nobody.
    Harmless,
    /// It harms nobody where the value is a temporary folder.
    HarmlessIfTemporary,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    pub(super) loss: Loss,
}

impl Entry {
    const fn of(kind: Kind) -> Self {
        Self { kind, loss: Loss::Matters }
    }
}

const CHROME_SWITCHES: &str = include_str!("chrome_switches.txt");
const FIREFOX_PREFERENCES: &str = include_str!("firefox_preferences.txt");

type Table = HashMap<&'static str, Entry>;

static SWITCHES: LazyLock<Table> = LazyLock::new(|| read(CHROME_SWITCHES).collect());
static PREFERENCES: LazyLock<Table> = LazyLock::new(|| read(FIREFOX_PREFERENCES).collect());

fn read(text: &'static str) -> impl Iterator<Item = (&'static str, Entry)> {
    text.lines().filter_map(|line| {
        let mut words = line.split(' ');
        let name = words.next().filter(|name| !name.is_empty() && *name != "#")?;
        let kind = Kind::parse(words.next()?)?;
        let loss = match words.next() {
            None => Loss::Matters,
            Some("dropped") => Loss::Harmless,
            Some("temporary") => Loss::HarmlessIfTemporary,
            Some(_) => return None,
        };
        Some((name, Entry { kind, loss }))
    })
}

/// What a switch of Chromium's is, by its name in lower case.
pub(super) fn chrome_switch(name: &str) -> Entry {
    SWITCHES.get(name).copied().unwrap_or_else(|| Entry::of(kind_of_switch(name)))
}

/// The kind that the name of an unknown switch speaks of.
fn kind_of_switch(name: &str) -> Kind {
    let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
    let starts = |starts: &[&str]| starts.iter().any(|start| name.starts_with(start));
    let has = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
    if ends(&[
        "-prefix",
        "-launcher",
        "-cmd",
        "-command",
        "-executable",
        "-binary",
        "-exe",
        "-program",
        "-library",
        "-library-name",
        "-lib",
        "-wrapper",
        "-plugins",
    ]) {
        Kind::Program
    } else if has(&["sandbox", "seccomp", "setuid", "zygote", "landlock"]) {
        Kind::Sandbox
    } else if has(&["mojo"]) {
        Kind::Privilege
    } else if has(&["debugger"])
        || starts(&["remote-"])
        || ends(&["-fd", "-handle", "-pipe", "-socket"])
    {
        Kind::Debugging
    } else if starts(&["proxy-", "host-", "dns-", "doh-"])
        || ends(&["-proxy", "-port", "-host", "-rules", "-resolver"])
    {
        Kind::Network
    } else if starts(&["log-", "trace-", "net-log", "dump-", "enable-tracing", "record-"])
        || has(&["to-file", "key-log"])
        || ends(&[
            "-file",
            "-files",
            "-path",
            "-paths",
            "-dir",
            "-dirs",
            "-directory",
            "-folder",
            "-dump",
            "-output",
        ])
    {
        Kind::File
    } else {
        Kind::Harmless
    }
}

/// What a feature of Chromium's or Blink's is.
pub(super) fn chrome_feature(name: &str) -> Kind {
    let name = name.to_ascii_lowercase();
    if name.contains("mojo") || name == "chromeappsdeprecation" {
        Kind::Privilege
    } else if name.contains("directsockets") || name.contains("isolatedwebapp") {
        // Sockets for pages, which reach every port.
        Kind::Network
    } else if name.contains("sandbox") && !name.contains("privacysandbox") {
        Kind::Sandbox
    } else {
        Kind::Harmless
    }
}

/// What a preference of Firefox' is. `is_text`: whether its value is a string, without which it names no file and no program.
pub(super) fn firefox_preference(name: &str, is_text: bool) -> Entry {
    let mut prefix = name;
    loop {
        if let Some(entry) = PREFERENCES.get(prefix) {
            return *entry;
        }
        match prefix.rsplit_once('.') {
            Some((shorter, _)) => prefix = shorter,
            None => return Entry::of(kind_of_preference(name, is_text)),
        }
    }
}

fn kind_of_preference(name: &str, is_text: bool) -> Kind {
    let name = name.to_ascii_lowercase();
    let last = name.rsplit('.').next().unwrap_or_default();
    let ends = |ends: &[&str]| ends.iter().any(|end| last.ends_with(end));
    if name.contains("sandbox") {
        Kind::Sandbox
    } else if name.contains("mailcap") || ends(&["print_command"]) {
        Kind::Program
    } else if !is_text {
        Kind::Harmless
    } else if ends(&[
        "command",
        "_cmd",
        "libpath",
        "library",
        "gsslib",
        "executable",
        "binary",
        "_exe",
    ]) {
        Kind::Program
    } else if ends(&["file", "filename", "path", "_dir", "-dir", "directory", "folder"])
        || matches!(last, "dir")
    {
        Kind::File
    } else {
        Kind::Harmless
    }
}

/// Whether a switch is in the table.
pub(super) fn is_known_switch(name: &str) -> bool {
    SWITCHES.contains_key(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_sorted_and_every_line_is_read() {
        for text in [CHROME_SWITCHES, FIREFOX_PREFERENCES] {
            let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
            let names: Vec<&str> = read(text).map(|(name, _)| name).collect();
            assert_eq!(names.len(), lines.len(), "a line is not `name kind [loss]`");
            for pair in names.windows(2) {
                assert!(pair[0] < pair[1], "{} stands before {}", pair[0], pair[1]);
            }
        }
        let mut switches = read(CHROME_SWITCHES).map(|(name, _)| name);
        assert!(switches.all(|name| name == name.to_ascii_lowercase()));
    }

    #[test]
    fn an_unknown_name_is_judged_by_what_it_speaks_of() {
        for (name, kind) in [
            ("brand-new-cmd-prefix", Kind::Program),
            ("brand-new-launcher", Kind::Program),
            ("disable-brand-new-sandbox", Kind::Sandbox),
            ("enable-mojo-magic", Kind::Privilege),
            ("remote-brand-new", Kind::Debugging),
            ("proxy-brand-new", Kind::Network),
            ("brand-new-log-file", Kind::File),
            ("brand-new-dir", Kind::File),
            ("brand-new-path", Kind::File),
            ("log-brand-new", Kind::File),
            ("enable-brand-new", Kind::Harmless),
        ] {
            assert_eq!(chrome_switch(name).kind, kind, "{name}");
        }
        for (name, is_text, kind) in [
            ("brand.new.print_command", true, Kind::Program),
            ("helpers.brand_mailcap_file", true, Kind::Program),
            ("brand.new.mailcap", true, Kind::Program),
            ("brand.new.log_file", true, Kind::File),
            ("brand.new.log_file", false, Kind::Harmless),
            ("brand.sandbox.level", false, Kind::Sandbox),
            ("brand.new.enabled", false, Kind::Harmless),
        ] {
            assert_eq!(firefox_preference(name, is_text).kind, kind, "{name}");
        }
    }

    #[test]
    fn an_entry_stands_for_what_is_below_it_until_a_longer_one_does() {
        for (name, kind) in [
            ("network.proxy.http", Kind::Network),
            ("network.proxyish", Kind::Harmless),
            ("app.update.auto", Kind::Harmless),
            ("app.update.url", Kind::Program),
            ("app.update.url.override", Kind::Program),
            ("logging.config.LOG_FILE", Kind::File),
            ("logging.nsHttp", Kind::Harmless),
            ("network.protocol-handler.app.mailto", Kind::Program),
        ] {
            assert_eq!(firefox_preference(name, true).kind, kind, "{name}");
        }
    }
}
