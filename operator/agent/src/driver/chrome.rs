//! What chromedriver must be told, and what of its answer a client may see.

use std::path::PathBuf;

use serde_json::{Map, Value, json};
use wire::capabilities::CapabilitySet;

const OPTIONS: &str = "goog:chromeOptions";

/// How this container runs its browser.
#[derive(Clone, Debug)]
pub struct Options {
    /// The browser's program; the driver's own choice if absent.
    pub browser: Option<PathBuf>,
    /// Whether the browser's own sandbox is used.
    pub browser_sandbox: bool,
}

/// Switches of every browser here: it has no screen, and no business with its vendor's servers.
const SWITCHES: [&str; 3] = ["--disable-background-networking", "--disable-quic", "--no-first-run"];

/// The body of the driver's New Session.
pub fn new_session(capabilities: &CapabilitySet, options: &Options) -> Value {
    let mut capabilities = capabilities.clone();
    let mut chrome = match capabilities.remove(OPTIONS) {
        Some(Value::Object(chrome)) => chrome,
        _ => Map::new(),
    };
    let mut switches = match chrome.remove("args") {
        Some(Value::Array(switches)) => switches,
        _ => Vec::new(),
    };
    let is_headless = |switch: &Value| {
        switch.as_str().is_some_and(|s| s.trim_start_matches('-').starts_with("headless"))
    };
    if !switches.iter().any(is_headless) {
        switches.push("--headless=new".into());
    }
    if !options.browser_sandbox {
        switches.push("--no-sandbox".into());
    }
    switches.extend(SWITCHES.map(Value::from));
    chrome.insert("args".to_owned(), switches.into());
    if let Some(browser) = &options.browser {
        chrome.insert("binary".to_owned(), browser.to_string_lossy().into());
    }
    capabilities.insert(OPTIONS.to_owned(), chrome.into());
    json!({"capabilities": {"alwaysMatch": capabilities}})
}

/// Where the browser's DevTools listen, inside the container.
pub fn debugger_address(capabilities: &Map<String, Value>) -> Option<&str> {
    capabilities.get(OPTIONS)?.get("debuggerAddress")?.as_str()
}

/// The path of the BiDi socket, out of the driver's own URL of it.
pub fn bidi_path(capabilities: &Map<String, Value>) -> Option<String> {
    let url = url::Url::parse(capabilities.get("webSocketUrl")?.as_str()?).ok()?;
    Some(url.path().to_owned())
}

/// Takes away what points into the container, and adds what the driver leaves out.
pub fn visible(
    mut capabilities: Map<String, Value>,
    user_agent: Option<String>,
) -> Map<String, Value> {
    capabilities.remove("webSocketUrl");
    if let Some(Value::Object(chrome)) = capabilities.get_mut(OPTIONS) {
        chrome.remove("debuggerAddress");
        if chrome.is_empty() {
            capabilities.remove(OPTIONS);
        }
    }
    if let Some(Value::Object(chrome)) = capabilities.get_mut("chrome") {
        chrome.remove("userDataDir");
    }
    if let Some(user_agent) = user_agent {
        capabilities.entry("userAgent").or_insert_with(|| user_agent.into());
    }
    capabilities
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(browser_sandbox: bool) -> Options {
        Options { browser: None, browser_sandbox }
    }

    fn set(value: Value) -> CapabilitySet {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_browser_is_headless_and_keeps_its_sandbox() {
        let body = new_session(&set(json!({"browserName": "chrome"})), &options(true));
        assert_eq!(
            body,
            json!({"capabilities": {"alwaysMatch": {
                "browserName": "chrome",
                "goog:chromeOptions": {"args": [
                    "--headless=new", "--disable-background-networking", "--disable-quic", "--no-first-run",
                ]},
            }}})
        );
    }

    #[test]
    fn the_clients_own_switches_stay() {
        let asked = set(
            json!({"goog:chromeOptions": {"args": ["headless=old", "--lang=de"], "prefs": {"a": 1}}}),
        );
        let body = new_session(&asked, &options(false));
        let chrome = &body["capabilities"]["alwaysMatch"]["goog:chromeOptions"];
        assert_eq!(chrome["prefs"], json!({"a": 1}));
        assert_eq!(chrome["args"][0], "headless=old");
        assert_eq!(chrome["args"][2], "--no-sandbox");
        assert!(!chrome["args"].to_string().contains("headless=new"));
    }

    #[test]
    fn what_points_into_the_container_is_not_shown() {
        let capabilities = set(json!({
            "browserName": "chrome",
            "webSocketUrl": "ws://127.0.0.1:4000/session/abc",
            "goog:chromeOptions": {"debuggerAddress": "localhost:3"},
            "chrome": {"chromedriverVersion": "156", "userDataDir": "/tmp/x"},
        }));
        assert_eq!(debugger_address(&capabilities), Some("localhost:3"));
        assert_eq!(bidi_path(&capabilities).as_deref(), Some("/session/abc"));
        assert_eq!(
            json!(visible(capabilities, Some("Mozilla".into()))),
            json!({
                "browserName": "chrome",
                "chrome": {"chromedriverVersion": "156"},
                "userAgent": "Mozilla",
            })
        );
    }
}
