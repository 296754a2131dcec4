//! Capability processing never panics, what it lets through it would let through again, and Classic lets through what
//! BiDi does: the gateway reads a request of BiDi's as such, the controller what is stored of it as one of Classic's.
#![no_main]

mod input;

use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use webdriver::{
    capabilities::{CapabilitySet, Dialect, check_size, for_driver, process},
    error::WebDriverError,
    vendor_options,
};

fuzz_target!(|bytes: &[u8]| {
    let Some(text) = input::text(bytes, NAMES, TEXTS) else { return };
    if let Ok(asked) = serde_json::from_str(&text) {
        check(&asked);
    }
});

const NAMES: &[&str] = &[
    "alwaysMatch",
    "firstMatch",
    "acceptInsecureCerts",
    "strictFileInteractability",
    "webSocketUrl",
    "browserName",
    "browserVersion",
    "platformName",
    "pageLoadStrategy",
    "proxy",
    "timeouts",
    "unhandledPromptBehavior",
    "setWindowRect",
    "proxyType",
    "proxyAutoconfigUrl",
    "httpProxy",
    "sslProxy",
    "socksProxy",
    "socksVersion",
    "noProxy",
    "script",
    "pageLoad",
    "implicit",
    "alert",
    "beforeUnload",
    "confirm",
    "default",
    "file",
    "prompt",
    "goog:chromeOptions",
    "moz:firefoxOptions",
    "browser-operator:region",
    "se:remoteUrl",
    "args",
    "prefs",
    "localState",
];
const TEXTS: &[&str] = &[
    "",
    "chrome",
    ">=100",
    "linux",
    "none",
    "eager",
    "normal",
    "pac",
    "direct",
    "autodetect",
    "system",
    "manual",
    "accept",
    "dismiss",
    "accept and notify",
    "dismiss and notify",
    "ignore",
    "a",
    "[::1]:1080",
    "u:p@a:1",
    "http://a/",
    "-headless",
    "--proxy-server=a",
    "--no-sandbox",
    "--enable-features=sandbox",
];

fn check(asked: &Value) {
    let classic = merged(asked, Dialect::Classic);
    let bidi = merged(asked, Dialect::Bidi);
    // Bounded, so it is looked at, however large the input is.
    let _ = check_size(asked);
    if let Ok(sets) = &bidi {
        let expected: Vec<CapabilitySet> = sets.iter().map(without_nulls).collect();
        assert_eq!(classic.as_ref().ok(), Some(&expected));
    }
    for (sets, dialect) in [(classic, Dialect::Classic), (bidi, Dialect::Bidi)] {
        for set in sets.unwrap_or_default() {
            let again = merged(&json!({"alwaysMatch": set}), dialect);
            assert_eq!(again.ok(), Some(vec![set.clone()]), "{dialect:?}");
            let sent = for_driver(&set);
            assert!(sent.keys().all(|name| !name.starts_with("browser-operator:")));
            for strict in [true, false] {
                let policy = vendor_options::Policy { strict, browser_sandbox: true };
                let _ = vendor_options::check(set.clone(), policy);
            }
        }
    }
}

fn merged(asked: &Value, dialect: Dialect) -> Result<Vec<CapabilitySet>, WebDriverError> {
    Ok(process(asked, dialect)?.sets().collect())
}

fn without_nulls(set: &CapabilitySet) -> CapabilitySet {
    set.iter().filter(|(_, value)| !value.is_null()).map(|(n, v)| (n.clone(), v.clone())).collect()
}
