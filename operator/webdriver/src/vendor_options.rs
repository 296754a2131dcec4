//! What a client may not ask of a browser: whatever would run a program, reach another pod, or undo the sandbox or
//! the egress route.

use serde_json::{Map, Value};

use crate::capabilities::CapabilitySet;

/// Members of `goog:chromeOptions` that are refused.
const CHROME_OPTIONS: [&str; 6] =
    ["androidPackage", "binary", "debuggerAddress", "env", "logPath", "minidumpPath"];

/// Chromium's switches that are refused by name.
const CHROME_SWITCHES: [&str; 14] = [
    "browser-subprocess-path",
    "crash-dumps-dir",
    "disk-cache-dir",
    "enable-logging-to-file",
    "gssapi-library-name",
    "host-resolver-rules",
    "host-rules",
    "in-process-gpu",
    "log-file",
    "no-proxy-server",
    "register-pepper-plugins",
    "single-process",
    "user-data-dir",
    "winhttp-proxy-resolver",
];
/// The same, for every switch that begins so.
const CHROME_SWITCH_PREFIXES: [&str; 2] = ["proxy-", "remote-"];
/// The same, for every switch that ends so: each runs a program before, or instead of, one of the browser's own.
const CHROME_SWITCH_SUFFIXES: [&str; 2] = ["-cmd-prefix", "-launcher"];
/// Preferences that are refused, with everything below them.
const CHROME_PREFERENCES: [&str; 2] = ["dns_over_https", "proxy"];

/// Members of `moz:firefoxOptions` that are allowed; what else there is runs programs, or is another device's.
const FIREFOX_OPTIONS: [&str; 3] = ["args", "log", "prefs"];
/// Firefox' arguments that are allowed. It has few, and most of the others choose a profile, a program or a debugger.
const FIREFOX_ARGUMENTS: [&str; 14] = [
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
/// Preferences that are refused, with everything below them: the route of the traffic, the sandbox, the way to the driver,
/// and what runs programs or loads libraries.
const FIREFOX_PREFERENCES: [&str; 14] = [
    "autoadmin",
    "browser.tabs.remote.autostart",
    "devtools.debugger",
    "extensions.experiments",
    "general.config",
    "marionette",
    "media.gmp-manager.url",
    "network.negotiate-auth",
    "network.protocol-handler",
    "network.proxy",
    "network.trr",
    "remote.system-access-check",
    "security.sandbox",
    "xpinstall",
];

/// The first vendor option that may not be asked for, in words for the client; `None` where all are allowed.
/// `browser_sandbox`: whether the class's pages are confined by the browser's own sandbox.
#[must_use]
pub fn refused(set: &CapabilitySet, browser_sandbox: bool) -> Option<String> {
    let of = |name, refused: &dyn Fn(&Map<String, Value>) -> Option<String>| match set.get(name)? {
        Value::Object(options) => refused(options).map(|what| format!("{name}.{what}")),
        _ => Some(format!("{name} must be an object")),
    };
    of("goog:chromeOptions", &|options| refused_of_chrome(options, browser_sandbox))
        .or_else(|| of("moz:firefoxOptions", &refused_of_firefox))
}

fn refused_of_chrome(options: &Map<String, Value>, browser_sandbox: bool) -> Option<String> {
    if let Some(key) = CHROME_OPTIONS.into_iter().find(|key| options.contains_key(*key)) {
        return Some(format!("{key} is not allowed"));
    }
    let Some(switches) = texts(options.get("args")) else {
        return Some("args must be a list of strings".to_owned());
    };
    for text in switches {
        let (name, value) = switch(text);
        // Some of a browser's sandboxes are features, which have a switch in common.
        let is_feature = matches!(name.as_str(), "disable-features" | "enable-features");
        let unsandboxes = name.contains("sandbox")
            || name == "no-zygote"
            || is_feature && value.to_ascii_lowercase().contains("sandbox");
        if CHROME_SWITCHES.contains(&name.as_str())
            || CHROME_SWITCH_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
            || CHROME_SWITCH_SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
        {
            return Some(format!("args: --{name} is not allowed"));
        }
        if unsandboxes && browser_sandbox {
            return Some(format!(
                "args: --{name} is not allowed: this class keeps the browser's own sandbox, which works in its pods; \
                 leave the switch out"
            ));
        }
    }
    ["prefs", "localState"].into_iter().find_map(|member| {
        let preference = refused_preference(options.get(member), &CHROME_PREFERENCES)?;
        Some(format!("{member}: {preference} is not allowed"))
    })
}

fn refused_of_firefox(options: &Map<String, Value>) -> Option<String> {
    if let Some(key) = options.keys().find(|key| !FIREFOX_OPTIONS.contains(&key.as_str())) {
        let hint = if key == "profile" { "; preferences go into prefs" } else { "" };
        return Some(format!("{key} is not allowed{hint}"));
    }
    let Some(arguments) = texts(options.get("args")) else {
        return Some("args must be a list of strings".to_owned());
    };
    for text in arguments {
        // What has no dash is another argument's value, or a page to open.
        let (name, _) = switch(text);
        if text.trim_start().starts_with('-') && !FIREFOX_ARGUMENTS.contains(&name.as_str()) {
            let allowed = FIREFOX_ARGUMENTS.join(", ");
            return Some(format!("args: -{name} is not allowed; there are: {allowed}"));
        }
    }
    let preference = refused_preference(options.get("prefs"), &FIREFOX_PREFERENCES)?;
    Some(format!("prefs: {preference} is not allowed"))
}

/// A list of strings; an empty one where there is none, `None` where it is something else.
fn texts(value: Option<&Value>) -> Option<Vec<&str>> {
    match value {
        None => Some(Vec::new()),
        Some(Value::Array(list)) => list.iter().map(Value::as_str).collect(),
        Some(_) => None,
    }
}

/// The first preference that is one of these, or below one of them. Printing commands are programs, wherever they are.
fn refused_preference<'a>(preferences: Option<&'a Value>, refused: &[&str]) -> Option<&'a str> {
    let is_below = |key: &str, name: &str| {
        key.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    preferences.and_then(Value::as_object)?.keys().map(String::as_str).find(|key| {
        refused.iter().any(|name| is_below(key, name)) || key.ends_with("print_command")
    })
}

/// A switch's name and value as the browsers read them: dashes before it or not, up to its value, in lower case.
fn switch(text: &str) -> (String, &str) {
    let text = text.trim().trim_start_matches('-');
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    (name.trim().to_ascii_lowercase(), value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refusal(options: Value, browser_sandbox: bool) -> Option<String> {
        let set = json!({"goog:chromeOptions": options});
        refused(set.as_object().unwrap(), browser_sandbox)
    }

    #[test]
    fn what_would_leave_the_sandbox_or_the_route_is_refused_by_name() {
        for (options, named) in [
            (json!({"binary": "/bin/sh"}), "binary"),
            (json!({"debuggerAddress": "10.0.0.1:9222"}), "debuggerAddress"),
            (json!({"args": ["--no-sandbox"]}), "no-sandbox"),
            (json!({"args": ["no-sandbox"]}), "no-sandbox"),
            (json!({"args": ["--headless", "--Proxy-Server=x:1"]}), "proxy-server"),
            (json!({"args": ["--renderer-cmd-prefix=/bin/sh"]}), "renderer-cmd-prefix"),
            (json!({"args": ["--zygote-cmd-prefix=/bin/sh"]}), "zygote-cmd-prefix"),
            (json!({"args": ["gpu-launcher=/bin/sh"]}), "gpu-launcher"),
            (json!({"args": ["remote-debugging-port=9"]}), "remote-debugging-port"),
            (json!({"args": ["--user-data-dir=/x"]}), "user-data-dir"),
            (json!({"prefs": {"proxy.mode": "x"}}), "proxy.mode"),
            (json!({"args": "--headless"}), "args"),
            (json!({"args": ["--disable-features=A,NetworkServiceSandbox"]}), "disable-features"),
            (json!({"args": [1]}), "args"),
            (json!({"localState": {"proxy": {"mode": "direct"}}}), "localState: proxy"),
            (json!([]), "goog:chromeOptions"),
        ] {
            let text = refusal(options.clone(), true).unwrap_or_default();
            assert!(text.contains(named), "{options}: {text}");
        }
    }

    #[test]
    fn the_usual_options_are_allowed() {
        let options = json!({
            "args": ["--headless=new", "--window-size=800,600", "--disable-gpu", "--disable-dev-shm-usage"],
            "prefs": {"download.default_directory": "/tmp"},
            "extensions": [],
        });
        assert_eq!(refusal(options, true), None);
    }

    #[test]
    fn firefox_has_few_options_that_are_allowed() {
        let refusal = |options: Value| {
            let set = json!({"moz:firefoxOptions": options});
            refused(set.as_object().unwrap(), true)
        };
        for (options, named) in [
            (json!({"binary": "/bin/sh"}), "moz:firefoxOptions.binary"),
            (json!({"env": {"LD_PRELOAD": "x"}}), "env"),
            (json!({"profile": "UEsDB"}), "profile is not allowed; preferences go into prefs"),
            (json!({"androidPackage": "x"}), "androidPackage"),
            (json!({"args": ["-profile", "/x"]}), "-profile"),
            (json!({"args": ["--remote-allow-system-access"]}), "remote-allow-system-access"),
            (json!({"args": ["-P"]}), "-p is not allowed"),
            (json!({"args": "x"}), "args"),
            (json!({"prefs": {"network.proxy.type": 1}}), "network.proxy.type"),
            (json!({"prefs": {"security.sandbox.content.level": 0}}), "security.sandbox"),
            (json!({"prefs": {"extensions.experiments.enabled": true}}), "extensions.experiments"),
            (json!({"prefs": {"remote.system-access-check.enabled": false}}), "remote.system"),
            (json!({"prefs": {"print.printer_x.print_command": "sh"}}), "print_command"),
            (json!(1), "moz:firefoxOptions"),
        ] {
            let text = refusal(options.clone()).unwrap_or_default();
            assert!(text.contains(named), "{options}: {text}");
        }
        let usual = json!({
            "args": ["-headless", "--width", "1280", "--height=720", "-private", "https://example.com"],
            "prefs": {"intl.accept_languages": "de", "network.proxyish": 1, "remote.active-protocols": 3},
            "log": {"level": "trace"},
        });
        assert_eq!(refusal(usual), None);
    }

    #[test]
    fn where_only_the_container_confines_no_sandbox_changes_nothing() {
        assert_eq!(refusal(json!({"args": ["--no-sandbox"]}), false), None);
    }
}
