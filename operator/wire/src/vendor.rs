//! What a client may not ask of a browser: whatever would run a program, reach another pod, or undo the sandbox or
//! the egress route.

use serde_json::Value;

use crate::capabilities::CapabilitySet;

/// Members of `goog:chromeOptions` that are refused.
const CHROME_OPTIONS: [&str; 6] =
    ["androidPackage", "binary", "debuggerAddress", "env", "logPath", "minidumpPath"];

/// Chromium's switches that are refused by name.
const CHROME_SWITCHES: [&str; 13] = [
    "browser-subprocess-path",
    "crash-dumps-dir",
    "disk-cache-dir",
    "enable-logging-to-file",
    "gssapi-library-name",
    "host-resolver-rules",
    "host-rules",
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
const CHROME_PREFERENCES: [&str; 1] = ["proxy"];

/// The first vendor option that may not be asked for, in words for the client; `None` where all are allowed.
/// `browser_sandbox`: whether the class's pages are confined by the browser's own sandbox.
#[must_use]
pub fn refused(set: &CapabilitySet, browser_sandbox: bool) -> Option<String> {
    let options = set.get("goog:chromeOptions")?;
    let Value::Object(options) = options else {
        return Some("goog:chromeOptions must be an object".to_owned());
    };
    if let Some(key) = CHROME_OPTIONS.into_iter().find(|key| options.contains_key(*key)) {
        return Some(format!("goog:chromeOptions.{key} is not allowed"));
    }
    let switches = match options.get("args") {
        None => &[],
        Some(Value::Array(list)) => list.as_slice(),
        Some(_) => return Some("goog:chromeOptions.args must be a list of strings".to_owned()),
    };
    for switch in switches {
        let Some(text) = switch.as_str() else {
            return Some("goog:chromeOptions.args must be a list of strings".to_owned());
        };
        let name = switch_name(text);
        let unsandboxes = name.contains("sandbox") || name == "no-zygote";
        if CHROME_SWITCHES.contains(&name.as_str())
            || CHROME_SWITCH_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
            || CHROME_SWITCH_SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
        {
            return Some(format!("goog:chromeOptions.args: --{name} is not allowed"));
        }
        if unsandboxes && browser_sandbox {
            return Some(format!(
                "goog:chromeOptions.args: --{name} is not allowed: this class keeps the browser's own sandbox, \
                 which works in its pods; leave the switch out"
            ));
        }
    }
    let preferences = options.get("prefs").and_then(Value::as_object);
    preferences
        .into_iter()
        .flat_map(|preferences| preferences.keys())
        .find(|key| CHROME_PREFERENCES.iter().any(|refused| key.split('.').next() == Some(refused)))
        .map(|key| format!("goog:chromeOptions.prefs: {key} is not allowed"))
}

/// A switch's name as Chromium reads it: dashes before it or not, up to its value, in lower case.
fn switch_name(text: &str) -> String {
    let text = text.trim().trim_start_matches('-');
    text.split('=').next().unwrap_or_default().trim().to_ascii_lowercase()
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
    fn where_only_the_container_confines_no_sandbox_changes_nothing() {
        assert_eq!(refusal(json!({"args": ["--no-sandbox"]}), false), None);
    }
}
