//! How a browser names another operating system than its own. The browser's name and versions stay what they are. Pure.

use agent_api::bind::OperatingSystem;
use serde_json::{Map, Value, json};

/// The names of one operating system.
struct SystemNames {
    /// In Chromium's User-Agent header.
    chrome: &'static str,
    /// In Firefox', before its version.
    firefox: &'static str,
    /// `navigator.platform`.
    platform: &'static str,
    /// `navigator.oscpu`, which only Firefox has.
    oscpu: &'static str,
    /// In Firefox' `navigator.appVersion`.
    app_version: &'static str,
    /// `platform` and `platformVersion` of User-Agent Client Hints.
    hints: (&'static str, &'static str),
    /// `architecture` and `bitness` of User-Agent Client Hints.
    processor: (&'static str, &'static str),
    /// `mobile` of User-Agent Client Hints; Chromium's User-Agent header says it as well.
    mobile: bool,
}

fn names(os: OperatingSystem) -> SystemNames {
    match os {
        OperatingSystem::Windows => SystemNames {
            chrome: "Windows NT 10.0; Win64; x64",
            firefox: "Windows NT 10.0; Win64; x64",
            platform: "Win32",
            oscpu: "Windows NT 10.0; Win64; x64",
            app_version: "Windows",
            hints: ("Windows", "15.0.0"),
            processor: ("x86", "64"),
            mobile: false,
        },
        OperatingSystem::Mac => SystemNames {
            chrome: "Macintosh; Intel Mac OS X 10_15_7",
            firefox: "Macintosh; Intel Mac OS X 10.15",
            platform: "MacIntel",
            oscpu: "Intel Mac OS X 10.15",
            app_version: "Macintosh",
            hints: ("macOS", "15.0.0"),
            ..names(OperatingSystem::Windows)
        },
        OperatingSystem::Mobile => SystemNames {
            chrome: "Linux; Android 10; K",
            firefox: "Android 15; Mobile",
            platform: "Linux armv81",
            oscpu: "Linux armv81",
            app_version: "Android 15",
            hints: ("Android", "15.0.0"),
            processor: ("", ""),
            mobile: true,
        },
        OperatingSystem::Tablet => SystemNames {
            firefox: "Android 15; Tablet",
            mobile: false,
            ..names(OperatingSystem::Mobile)
        },
    }
}

/// The parameters of `Emulation.setUserAgentOverride`, from the browser's own User-Agent; `None` where that has not the form
/// `Mozilla/5.0 (system) ...`. Brands and versions are left to the browser.
pub fn chrome_override(own: &str, os: OperatingSystem) -> Option<Value> {
    let SystemNames { chrome, platform, hints, processor, mobile, .. } = names(os);
    let (before, rest) = own.split_once('(')?;
    let (_, after) = rest.split_once(')')?;
    // A phone's header has "Mobile" before the last product.
    let after =
        if mobile { after.replacen(" Safari/", " Mobile Safari/", 1) } else { after.into() };
    Some(json!({
        "userAgent": format!("{before}({chrome}){after}"),
        "platform": platform,
        "userAgentMetadata": {
            "platform": hints.0,
            "platformVersion": hints.1,
            "architecture": processor.0,
            "bitness": processor.1,
            "model": "",
            "mobile": mobile,
            "wow64": false,
        },
    }))
}

/// The preferences by which Firefox names the system, for a version such as `140.0`.
pub fn firefox_preferences(version: &str, os: OperatingSystem) -> Map<String, Value> {
    let SystemNames { firefox, platform, oscpu, app_version, .. } = names(os);
    // On a phone Gecko's version stands where desktops have a fixed date.
    let gecko = match os {
        OperatingSystem::Mobile | OperatingSystem::Tablet => version,
        _ => "20100101",
    };
    let preferences = [
        (
            "general.useragent.override",
            format!("Mozilla/5.0 ({firefox}; rv:{version}) Gecko/{gecko} Firefox/{version}"),
        ),
        ("general.platform.override", platform.to_owned()),
        ("general.oscpu.override", oscpu.to_owned()),
        ("general.appversion.override", format!("5.0 ({app_version})")),
    ];
    preferences.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
}

/// The version in Firefox' User-Agent, from its application.ini: `140.5.0` becomes `140.0`.
pub fn firefox_version(application: &str) -> Option<String> {
    let version = application.lines().find_map(|line| line.strip_prefix("Version="))?;
    let major: u32 = version.split('.').next()?.trim().parse().ok()?;
    Some(format!("{major}.0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
        HeadlessChrome/156.0.0.0 Safari/537.36";

    #[test]
    fn only_the_system_differs() {
        let of = |os| chrome_override(OWN, os).unwrap();
        for (os, system, platform) in [
            (OperatingSystem::Windows, "(Windows NT 10.0; Win64; x64)", "Win32"),
            (OperatingSystem::Mac, "(Macintosh; Intel Mac OS X 10_15_7)", "MacIntel"),
            (OperatingSystem::Tablet, "(Linux; Android 10; K)", "Linux armv81"),
        ] {
            let (shown, expected) = (of(os), OWN.replace("(X11; Linux x86_64)", system));
            assert_eq!(shown["userAgent"], expected.as_str());
            assert_eq!(shown["platform"], platform);
            assert_eq!(shown["userAgentMetadata"]["mobile"], false);
        }
        let phone = of(OperatingSystem::Mobile);
        assert_eq!(
            phone["userAgent"],
            "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) \
                HeadlessChrome/156.0.0.0 Mobile Safari/537.36"
        );
        assert_eq!(phone["userAgentMetadata"]["mobile"], true);
        assert_eq!(chrome_override("curl/8", OperatingSystem::Mac), None);
    }

    #[test]
    fn firefox_has_its_own_version_in_it() {
        let version = firefox_version("[App]\nVendor=Mozilla\nVersion=140.5.0\n").unwrap();
        let preferences = firefox_preferences(&version, OperatingSystem::Windows);
        assert_eq!(
            preferences["general.useragent.override"],
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
        );
        assert_eq!(preferences["general.appversion.override"], "5.0 (Windows)");
        let phone = firefox_preferences(&version, OperatingSystem::Mobile);
        assert_eq!(
            phone["general.useragent.override"],
            "Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0"
        );
        assert_eq!(firefox_version("[App]\n"), None);
    }
}
