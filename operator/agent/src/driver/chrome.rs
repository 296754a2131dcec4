//! What chromedriver is started with and sent, and what of its answer a client may see.

use serde_json::{Map, Value};
use webdriver::capabilities::CapabilitySet;

use super::launch_options::LaunchOptions;

const OPTIONS: &str = "goog:chromeOptions";

/// Switches of every browser: without its vendor's servers, with errors alone in its log, not every word of a page, and
/// without a way around the agent's proxy.
const SWITCHES: [&str; 7] = [
    "--disable-background-networking",
    "--disable-quic",
    "--log-level=2",
    "--no-first-run",
    // Chromium's word for "not even this machine": that is denied at the proxy.
    "--proxy-bypass-list=<-loopback>",
    // It finds no name by itself.
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--webrtc-ip-handling-policy=disable_non_proxied_udp",
];

pub fn arguments(port: u16) -> Vec<String> {
    // Otherwise the driver sends to /dev/null what a browser says that does not start.
    let logs = ["--log-level=WARNING", "--enable-chrome-logs"].map(str::to_owned);
    [format!("--port={port}")].into_iter().chain(logs).collect()
}

/// The capabilities that the driver is sent.
pub fn request_capabilities(
    mut capabilities: CapabilitySet,
    options: &LaunchOptions,
) -> CapabilitySet {
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
    switches.push(format!("--proxy-server=http://127.0.0.1:{}", options.proxy_port).into());
    chrome.insert("args".to_owned(), switches.into());
    if let Some(browser) = &options.browser {
        chrome.insert("binary".to_owned(), browser.to_string_lossy().into());
    }
    capabilities.insert(OPTIONS.to_owned(), chrome.into());
    capabilities
}

/// Where the browser's DevTools listen, inside the container.
pub fn debugger_address(capabilities: &Map<String, Value>) -> Option<&str> {
    capabilities.get(OPTIONS)?.get("debuggerAddress")?.as_str()
}

/// Removes what points into the container.
pub fn hide_internals(capabilities: &mut Map<String, Value>) {
    if let Some(Value::Object(chrome)) = capabilities.get_mut(OPTIONS) {
        // An empty one stays: it is how some clients know Chrome.
        chrome.remove("debuggerAddress");
    }
    if let Some(Value::Object(chrome)) = capabilities.get_mut("chrome") {
        chrome.remove("userDataDir");
    }
    capabilities.remove("goog:processID");
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_api::bind::Driver;
    use serde_json::json;

    fn options(browser_sandbox: bool) -> LaunchOptions {
        LaunchOptions {
            driver: Driver::Chromedriver,
            browser: None,
            browser_sandbox,
            proxy_port: 3128,
        }
    }

    fn set(value: Value) -> CapabilitySet {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_browser_is_headless_and_keeps_its_sandbox() {
        let requested = request_capabilities(set(json!({"browserName": "chrome"})), &options(true));
        assert_eq!(
            json!(requested),
            json!({
                "browserName": "chrome",
                "goog:chromeOptions": {"args": [
                    "--headless=new", "--disable-background-networking", "--disable-quic", "--log-level=2",
                    "--no-first-run", "--proxy-bypass-list=<-loopback>",
                    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
                    "--webrtc-ip-handling-policy=disable_non_proxied_udp",
                    "--proxy-server=http://127.0.0.1:3128",
                ]},
            })
        );
    }

    #[test]
    fn the_clients_own_switches_stay() {
        let asked = set(
            json!({"goog:chromeOptions": {"args": ["headless=old", "--lang=de"], "prefs": {"a": 1}}}),
        );
        let requested = request_capabilities(asked, &options(false));
        let chrome = &requested["goog:chromeOptions"];
        assert_eq!(chrome["prefs"], json!({"a": 1}));
        assert_eq!(chrome["args"][0], "headless=old");
        assert_eq!(chrome["args"][2], "--no-sandbox");
        assert!(!chrome["args"].to_string().contains("headless=new"));
    }

    #[test]
    fn what_points_into_the_container_is_not_shown() {
        let mut capabilities = set(json!({
            "browserName": "chrome",
            "goog:chromeOptions": {"debuggerAddress": "localhost:3"},
            "chrome": {"chromedriverVersion": "156", "userDataDir": "/tmp/x"},
        }));
        assert_eq!(debugger_address(&capabilities), Some("localhost:3"));
        hide_internals(&mut capabilities);
        assert_eq!(
            json!(capabilities),
            json!({
                "browserName": "chrome",
                "chrome": {"chromedriverVersion": "156"},
                "goog:chromeOptions": {},
            })
        );
    }
}
