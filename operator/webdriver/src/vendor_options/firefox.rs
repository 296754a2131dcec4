//! `moz:firefoxOptions`.

use serde_json::{Map, Value};

use super::{
    firefox_profile,
    table::{Entry, Kind, Loss, chrome_switch, firefox_preference},
    texts::{is_program, switch, take_texts},
    verdict::{Findings, Policy},
};

/// Members that are allowed; what else there is runs programs, or is another device's.
const MEMBERS: [&str; 3] = ["args", "log", "prefs"];
const PROGRAMS: [&str; 5] =
    ["firefox", "firefox-bin", "firefox-esr", "firefox-devedition", "firefox-nightly"];
/// Arguments that are allowed. It has few, and most of the others choose a profile, a program or a debugger.
const ARGUMENTS: [&str; 14] = [
    "devtools",
    "foreground",
    "headless",
    "height",
    "kiosk",
    "new-tab",
    "new-window",
    "private",
    "private-window",
    "safe-mode",
    "silent",
    "url",
    "width",
    "window-size",
];
/// Arguments whose loss harms nobody, beside those that are Chromium's.
const NEEDLESS_ARGUMENTS: [&str; 5] =
    ["marionette", "new-instance", "no-remote", "remote-debugging-port", "remote-allow-hosts"];
/// Variables that `env` may have: the pod's browser has no screen anyway.
const NEEDLESS_VARIABLES: [&str; 3] = ["MOZ_HEADLESS", "MOZ_HEADLESS_HEIGHT", "MOZ_HEADLESS_WIDTH"];

/// What the browser's own pages begin with, and what may stand before that.
const PRIVILEGED_SCHEMES: [&str; 8] =
    ["about:", "chrome:", "file:", "jar:", "javascript:", "moz-", "resource:", "view-source:"];
/// Those that can do nothing.
const HARMLESS_PAGES: [&str; 3] = ["about:blank", "about:home", "about:newtab"];

pub(super) fn check(options: &mut Map<String, Value>, policy: Policy, findings: &mut Findings) {
    if !policy.strict {
        drop_needless_members(options, findings);
        take_profile(options, findings);
    }
    for key in options.keys().filter(|key| !MEMBERS.contains(&key.as_str())) {
        let hint = if key == "profile" { "; preferences go into prefs" } else { "" };
        findings.refuse(format!("{key} is not allowed{hint}"));
    }
    let arguments = take_texts(options, "args", findings);
    let kept = check_arguments(arguments, policy, findings);
    if !kept.is_empty() {
        options.insert("args".to_owned(), kept.into());
    }
    if let Some(Value::Object(preferences)) = options.get_mut("prefs") {
        preferences.retain(|name, value| keeps_preference(name, value, policy, findings));
    }
}

fn drop_needless_members(options: &mut Map<String, Value>, findings: &mut Findings) {
    let binary = options.get("binary").and_then(Value::as_str);
    if binary.is_some_and(|path| is_program(path, &PROGRAMS)) {
        options.remove("binary");
        findings.ignore("binary");
    }
    let is_needless = |env: &Map<String, Value>| {
        env.keys().all(|name| NEEDLESS_VARIABLES.contains(&name.as_str()))
    };
    if options.get("env").and_then(Value::as_object).is_some_and(is_needless) {
        options.remove("env");
        findings.ignore("env");
    }
}

/// Makes preferences of a profile that has nothing else.
fn take_profile(options: &mut Map<String, Value>, findings: &mut Findings) {
    let Some(profile) = options.remove("profile") else { return };
    let Value::String(profile) = profile else {
        findings.refuse("profile must be a string: a zip in base64");
        return;
    };
    match firefox_profile::preferences(&profile) {
        Ok(found) => {
            let preferences = options.entry("prefs").or_insert_with(|| Map::new().into());
            if let Value::Object(preferences) = preferences {
                for (name, value) in found {
                    // What the client says outside its profile holds.
                    preferences.entry(name).or_insert(value);
                }
            }
        }
        Err(error) => findings.refuse(format!("profile {error}")),
    }
}

fn check_arguments(arguments: Vec<String>, policy: Policy, findings: &mut Findings) -> Vec<Value> {
    let mut kept = Vec::new();
    let mut lost_its_name = false;
    for text in arguments {
        // What has no dash is another argument's value, or a page to open.
        if !text.trim_start().starts_with('-') {
            let is_value = lost_its_name && text.trim().bytes().all(|byte| byte.is_ascii_digit());
            lost_its_name = false;
            if is_privileged(&text) {
                findings.refuse(format!("args: {text} is not allowed{}", Kind::Privilege.why()));
            } else if !is_value {
                kept.push(text.into());
            }
            continue;
        }
        let (name, value) = switch(&text);
        let stays = ARGUMENTS.contains(&name.as_str()) && !is_privileged(value);
        lost_its_name = !stays;
        if stays {
            kept.push(text.into());
        } else if !policy.strict && is_needless(&name) {
            findings.ignore(format!("args: -{name}"));
        } else {
            let allowed = ARGUMENTS.join(", ");
            findings.refuse(format!("args: -{name} is not allowed; there are: {allowed}"));
        }
    }
    kept
}

/// Whether it is a page of the browser's own: who can click there sets any preference, and runs scripts as the browser.
/// Firefox opens those for its arguments and preferences only, not for a driver.
fn is_privileged(page: &str) -> bool {
    // As URLs are read: spaces at the ends and line breaks do not count (URL standard, "basic URL parser").
    let page: String = page.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect();
    let page = page.to_ascii_lowercase();
    let is_harmless = |page: &str| HARMLESS_PAGES.contains(&page);
    PRIVILEGED_SCHEMES
        .iter()
        .any(|scheme| page.starts_with(scheme) && !is_harmless(page.trim_end_matches('/')))
}

/// Clients that drive both browsers give each the switches of the other.
fn is_needless(name: &str) -> bool {
    let Entry { kind, loss } = chrome_switch(name);
    let of_chromium = name.len() > 2
        && super::table::is_known_switch(name)
        && (kind == Kind::Harmless || loss == Loss::Harmless);
    NEEDLESS_ARGUMENTS.contains(&name) || of_chromium
}

fn keeps_preference(name: &str, value: &Value, policy: Policy, findings: &mut Findings) -> bool {
    let mut entry = firefox_preference(name, value.is_string());
    // Some open pages; a list of them is written with `|`.
    if value.as_str().is_some_and(|text| text.split('|').any(is_privileged)) {
        entry = Entry { kind: Kind::Privilege, loss: Loss::Matters };
    }
    if is_off(name, value) {
        entry.loss = Loss::Harmless;
    }
    findings.settle(policy.fate(entry, false), &format!("prefs: {name}"))
}

/// The pods have no proxy and no resolver of their own, so to ask for none changes nothing.
fn is_off(name: &str, value: &Value) -> bool {
    match name {
        "network.proxy.type" => matches!(value.as_i64(), Some(0 | 5)),
        "network.trr.mode" => matches!(value.as_i64(), Some(0 | 5)),
        _ => false,
    }
}
