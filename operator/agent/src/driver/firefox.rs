//! What geckodriver is started with and sent, and what of its answer a client may see.

use std::{fs, io, path::Path};

use agent_api::bind::OperatingSystem;
use serde_json::{Map, Value};
use webdriver::capabilities::CapabilitySet;

use super::{firefox_egress, launch_options::LaunchOptions, operating_system, walls};

const OPTIONS: &str = "moz:firefoxOptions";
/// Firefox' own port for BiDi, which geckodriver wants to know before there is a browser. The pod's network is its own.
/// Firefox listens on no port that it does not open itself; it checks Host and Origin there.
const BIDI_PORT: u16 = 9222;
/// Where profiles are made.
const PROFILES: &str = "/tmp";
/// Where downloads go, unless the client says otherwise.
const DOWNLOADS: &str = "/tmp/downloads";

/// Whether there is the page that sets any preference. A driver does not open it, but an argument or a preference could.
const ABOUT_CONFIG: &str = "general.aboutConfig.enable";

/// Why the version of the image's Firefox is unknown.
#[derive(Debug, thiserror::Error)]
pub enum VersionError {
    #[error("no BROWSER_BINARY")]
    NoBinary,
    #[error(transparent)]
    Read(#[from] io::Error),
    #[error("application.ini has no Version")]
    NoVersion,
}

/// The preferences by which Firefox names another operating system. Its version stands beside its program.
pub fn system_preferences(
    browser: Option<&Path>,
    os: OperatingSystem,
) -> Result<Map<String, Value>, VersionError> {
    let browser = browser.ok_or(VersionError::NoBinary)?;
    let application = fs::read_to_string(browser.with_file_name("application.ini"))?;
    let version = operating_system::firefox_version(&application).ok_or(VersionError::NoVersion)?;
    Ok(operating_system::firefox_preferences(&version, os))
}

pub fn arguments(port: u16) -> Vec<String> {
    [
        format!("--port={port}"),
        format!("--websocket-port={BIDI_PORT}"),
        format!("--profile-root={PROFILES}"),
    ]
    .into()
}

/// The capabilities that the driver is sent.
pub fn request_capabilities(
    mut capabilities: CapabilitySet,
    options: &LaunchOptions,
    more_preferences: Map<String, Value>,
) -> CapabilitySet {
    let mut firefox = match capabilities.remove(OPTIONS) {
        Some(Value::Object(firefox)) => firefox,
        _ => Map::new(),
    };
    let mut arguments = match firefox.remove("args") {
        Some(Value::Array(arguments)) => arguments,
        _ => Vec::new(),
    };
    let is_headless = |argument: &Value| {
        argument.as_str().is_some_and(|a| a.trim_start_matches('-') == "headless")
    };
    if !arguments.iter().any(is_headless) {
        arguments.push("-headless".into());
    }
    firefox.insert("args".to_owned(), arguments.into());
    let preferences = firefox.entry("prefs").or_insert_with(|| Map::new().into());
    if let Value::Object(preferences) = preferences {
        preferences.entry("browser.download.dir").or_insert_with(|| DOWNLOADS.into());
        preferences.entry("browser.download.folderList").or_insert_with(|| 2.into());
        preferences.extend(more_preferences);
        preferences.extend(firefox_egress::preferences(options.proxy_port));
        // After a profile's own: no page may open the driver's port.
        preferences.insert(walls::FIREFOX_PREFERENCE.to_owned(), "".into());
        preferences.insert(ABOUT_CONFIG.to_owned(), false.into());
    }
    if let Some(browser) = &options.browser {
        firefox.insert("binary".to_owned(), browser.to_string_lossy().into());
    }
    capabilities.insert(OPTIONS.to_owned(), firefox.into());
    // Firefox has no CDP any more, and Selenium's clients ask for its address all the same.
    capabilities.remove("moz:debuggerAddress");
    capabilities
}

/// Removes what points into the container.
pub fn hide_internals(capabilities: &mut Map<String, Value>) {
    for name in ["moz:debuggerAddress", "moz:processID", "moz:profile"] {
        capabilities.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_api::bind::Driver;
    use serde_json::json;

    fn options() -> LaunchOptions {
        LaunchOptions {
            driver: Driver::Geckodriver,
            browser: Some("/usr/lib/firefox".into()),
            browser_sandbox: true,
            proxy_port: 3128,
        }
    }

    fn set(value: Value) -> CapabilitySet {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_browser_is_headless_and_the_clients_own_options_stay() {
        let asked = set(json!({
            "moz:debuggerAddress": true,
            "moz:firefoxOptions": {"args": ["-private"], "prefs": {"a": 1}},
        }));
        let mut preferences = json!({
            "a": 1,
            "browser.download.dir": DOWNLOADS,
            "browser.download.folderList": 2,
            ABOUT_CONFIG: false,
            walls::FIREFOX_PREFERENCE: "",
        });
        preferences.as_object_mut().unwrap().extend(firefox_egress::preferences(3128));
        assert_eq!(
            json!(request_capabilities(asked, &options(), Map::new())),
            json!({"moz:firefoxOptions": {
                "args": ["-private", "-headless"],
                "binary": "/usr/lib/firefox",
                "prefs": preferences,
            }})
        );
        let around = set(json!({"moz:firefoxOptions": {"prefs": {"network.proxy.type": 0}}}));
        assert_eq!(
            request_capabilities(around, &options(), Map::new())["moz:firefoxOptions"]["prefs"]["network.proxy.type"],
            1
        );
        let headless = set(json!({"moz:firefoxOptions": {"args": ["--headless"]}}));
        assert_eq!(
            request_capabilities(headless.clone(), &options(), Map::new())["moz:firefoxOptions"]["args"],
            json!(["--headless"])
        );
        let windows = request_capabilities(
            headless,
            &options(),
            operating_system::firefox_preferences("140.0", OperatingSystem::Windows),
        );
        assert_eq!(
            windows["moz:firefoxOptions"]["prefs"]["general.platform.override"],
            json!("Win32")
        );
    }

    #[test]
    fn what_points_into_the_container_is_not_shown() {
        let mut capabilities =
            set(json!({"moz:profile": "/tmp/x", "moz:processID": 7, "browserName": "firefox"}));
        hide_internals(&mut capabilities);
        assert_eq!(json!(capabilities), json!({"browserName": "firefox"}));
    }
}
