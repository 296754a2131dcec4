//! `goog:chromeOptions`.

use serde_json::{Map, Value};

use super::{
    table::{Entry, Kind, Loss, chrome_feature, chrome_switch},
    texts::{is_program, is_temporary, switch, take_texts},
    verdict::{Fate, Findings, Policy},
};

/// Members that are refused.
const REFUSED: [&str; 4] = ["debuggerAddress", "env", "logPath", "minidumpPath"];
const PROGRAMS: [&str; 8] = [
    "chrome",
    "chromium",
    "chromium-browser",
    "google chrome",
    "google-chrome",
    "google-chrome-beta",
    "google-chrome-stable",
    "google-chrome-unstable",
];
/// Members of `perfLoggingPrefs` that are allowed.
const LOGGING: [&str; 5] = [
    "bufferUsageReportingInterval",
    "enableNetwork",
    "enablePage",
    "enableTimeline",
    "traceCategories",
];
/// Preferences that are refused, with everything below them.
const PREFERENCES: [(&str, Kind); 8] = [
    ("auth", Kind::Program),
    ("dns_over_https", Kind::Network),
    ("extensions.settings", Kind::Read),
    ("native_messaging", Kind::Program),
    ("printing.print_to_file", Kind::File),
    ("protocol_handler", Kind::Program),
    ("proxy", Kind::Network),
    ("webview", Kind::Privilege),
];
/// Flags of V8 that are allowed: of the others many write files, and some take its own walls down.
const V8_FLAGS: [&str; 13] = [
    "expose-gc",
    "expose_gc",
    "harmony",
    "jitless",
    "lite-mode",
    "max-heap-size",
    "max-lazy",
    "max-old-space-size",
    "max-semi-space-size",
    "noexpose-wasm",
    "optimize-for-size",
    "random-seed",
    "stack-size",
];

pub(super) fn check(options: &mut Map<String, Value>, policy: Policy, findings: &mut Findings) {
    check_members(options, policy, findings);
    let switches = take_texts(options, "args", findings);
    let kept: Vec<Value> = switches
        .into_iter()
        .filter_map(|text| check_switch(text, policy, findings))
        .map(Value::from)
        .collect();
    if !kept.is_empty() {
        options.insert("args".to_owned(), kept.into());
    }
    check_excluded(options, policy, findings);
    for member in ["prefs", "localState"] {
        if let Some(preferences) = options.get(member) {
            check_preferences(preferences, member, policy, findings);
        }
    }
}

fn check_members(options: &mut Map<String, Value>, policy: Policy, findings: &mut Findings) {
    for key in options.keys() {
        if REFUSED.contains(&key.as_str()) || key.starts_with("android") {
            findings.refuse(format!("{key} is not allowed"));
        }
    }
    if let Some(binary) = options.get("binary") {
        let is_chrome = binary.as_str().is_some_and(|path| is_program(path, &PROGRAMS));
        if is_chrome && !policy.strict {
            options.remove("binary");
            findings.ignore("binary");
        } else {
            findings.refuse("binary is not allowed: the class has its own");
        }
    }
    let logging = options.get("perfLoggingPrefs").and_then(Value::as_object);
    for key in logging.into_iter().flat_map(Map::keys) {
        if !LOGGING.contains(&key.as_str()) {
            let allowed = LOGGING.join(", ");
            findings.refuse(format!("perfLoggingPrefs.{key} is not allowed; there are: {allowed}"));
        }
    }
}

/// The switch as it is passed on; `None`: it is not.
fn check_switch(text: String, policy: Policy, findings: &mut Findings) -> Option<String> {
    let (name, value) = switch(&text);
    match name.as_str() {
        "enable-features"
        | "disable-features"
        | "enable-blink-features"
        | "disable-blink-features" => check_features(&name, value, policy, findings),
        "js-flags" => check_v8_flags(value, findings).then_some(text),
        _ => {
            let entry = match name.as_str() {
                _ if name.starts_with("headless") => chrome_switch("headless"),
                "proxy-server" if is_direct(value) => {
                    Entry { kind: Kind::Network, loss: Loss::Harmless }
                }
                name => chrome_switch(name),
            };
            let fate = policy.fate(entry, is_temporary(value));
            findings.settle(fate, &format!("args: --{name}")).then_some(text)
        }
    }
}

/// The pods have no proxy, so to ask for none changes nothing.
fn is_direct(value: &str) -> bool {
    let value = value.trim_matches(['"', '\'', ' ']);
    value.is_empty()
        || value.eq_ignore_ascii_case("direct://")
        || value.eq_ignore_ascii_case("direct")
}

/// The switch with the features that stay.
fn check_features(
    name: &str,
    value: &str,
    policy: Policy,
    findings: &mut Findings,
) -> Option<String> {
    let mut kept = Vec::new();
    let disables = name.starts_with("disable");
    for part in value.trim_matches(['"', '\'']).split(',') {
        // A feature may have a `*` before it, and a trial or parameters behind it.
        let feature =
            part.trim().trim_start_matches('*').split(['<', ':']).next().unwrap_or_default();
        let kind = chrome_feature(feature);
        let loss = if kind == Kind::Sandbox || disables { Loss::Harmless } else { Loss::Matters };
        // What gives pages more is refused where it is switched on only.
        let entry = match kind {
            Kind::Harmless => Entry { kind, loss: Loss::Matters },
            kind => Entry { kind, loss },
        };
        if findings.settle(policy.fate(entry, false), &format!("args: --{name}={feature}")) {
            kept.push(part);
        }
    }
    (!kept.is_empty()).then(|| format!("--{name}={}", kept.join(",")))
}

fn check_v8_flags(value: &str, findings: &mut Findings) -> bool {
    let mut all_allowed = true;
    for flag in value.trim_matches(['"', '\'']).split([' ', ',']).filter(|flag| !flag.is_empty()) {
        let (name, _) = switch(flag);
        let is_allowed = V8_FLAGS.contains(&name.as_str())
            || name.starts_with("harmony")
            || name.bytes().all(|byte| byte.is_ascii_digit());
        if !is_allowed {
            all_allowed = false;
            let allowed = V8_FLAGS.join(", ");
            findings
                .refuse(format!("args: --js-flags: --{name} is not allowed; there are: {allowed}"));
        }
    }
    all_allowed
}

/// Switches of ours and the driver's that a client would have left out. Those that keep the browser where it is stay.
fn check_excluded(options: &mut Map<String, Value>, policy: Policy, findings: &mut Findings) {
    if !options.contains_key("excludeSwitches") {
        return;
    }
    let excluded = take_texts(options, "excludeSwitches", findings);
    let kept: Vec<Value> = excluded
        .into_iter()
        .filter(|text| {
            let (name, _) = switch(text);
            let is_ours = matches!(
                name.as_str(),
                "disable-background-networking"
                    | "disable-quic"
                    | "headless"
                    | "webrtc-ip-handling-policy"
            );
            let entry = chrome_switch(&name);
            let fate = match entry.kind {
                Kind::Harmless if !is_ours => Fate::Kept,
                _ if policy.strict => Fate::Refused(Kind::Harmless),
                _ => Fate::Dropped,
            };
            findings.settle(fate, &format!("excludeSwitches: {name}"))
        })
        .map(Value::from)
        .collect();
    options.insert("excludeSwitches".to_owned(), kept.into());
}

/// The paths of preferences, whether they are written with dots or as objects in each other.
fn check_preferences(value: &Value, member: &str, policy: Policy, findings: &mut Findings) {
    let mut left = vec![(String::new(), value)];
    while let Some((path, value)) = left.pop() {
        for kind in
            PREFERENCES.iter().filter(|(name, _)| is_below(&path, name)).map(|(_, kind)| *kind)
        {
            findings.refuse(format!("{member}: {path} is not allowed{}", kind.why()));
        }
        if path.ends_with("print_command") {
            findings.refuse(format!("{member}: {path} is not allowed{}", Kind::Program.why()));
        }
        if path == "browser.enabled_labs_experiments" {
            check_experiments(value, member, policy, findings);
        }
        for (key, inner) in value.as_object().into_iter().flatten() {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            left.push((path, inner));
        }
    }
}

/// The flags of `chrome://flags`.
fn check_experiments(value: &Value, member: &str, policy: Policy, findings: &mut Findings) {
    let flags = value.as_array().into_iter().flatten().filter_map(Value::as_str);
    for flag in flags {
        let entry = Entry { kind: chrome_feature(&flag.replace('-', "")), loss: Loss::Matters };
        findings.settle(policy.fate(entry, false), &format!("{member}: {flag}"));
    }
}

fn is_below(path: &str, name: &str) -> bool {
    path.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}
