use std::io::{Cursor, Write};

use base64::{Engine, engine::general_purpose::STANDARD};
use proptest::prelude::*;
use serde_json::json;
use zip::{ZipWriter, write::SimpleFileOptions};

use super::*;

const LENIENT: Policy = Policy { strict: false, browser_sandbox: true };
const STRICT: Policy = Policy { strict: true, browser_sandbox: true };

fn of(browser: &str, options: Value, policy: Policy) -> Checked {
    let set = json!({browser: options});
    check(set.as_object().unwrap().clone(), policy)
}

fn chrome(options: Value, policy: Policy) -> Checked {
    of("goog:chromeOptions", options, policy)
}

fn firefox(options: Value, policy: Policy) -> Checked {
    of("moz:firefoxOptions", options, policy)
}

fn assert_refused(checked: &Checked, named: &str, asked: &Value) {
    let told = checked.refusals.join("; ");
    assert!(told.contains(named), "{asked}: {named} in {told:?}");
}

#[test]
fn what_would_leave_the_sandbox_or_the_route_is_refused_by_name() {
    for (options, named) in [
        (json!({"binary": "/bin/sh"}), "binary"),
        (json!({"debuggerAddress": "10.0.0.1:9222"}), "debuggerAddress"),
        (json!({"androidPackage": "com.android.chrome"}), "androidPackage"),
        (json!({"androidDeviceSerial": "x"}), "androidDeviceSerial"),
        (json!({"env": {}}), "env"),
        (json!({"args": ["--headless", "--Proxy-Server=x:1"]}), "proxy-server"),
        (json!({"args": ["--renderer-cmd-prefix=/bin/sh"]}), "renderer-cmd-prefix"),
        (json!({"args": ["--zygote-cmd-prefix=/bin/sh"]}), "zygote-cmd-prefix"),
        (json!({"args": ["gpu-launcher=/bin/sh"]}), "gpu-launcher"),
        (json!({"args": ["-- browser-subprocess-path = /bin/sh"]}), "browser-subprocess-path"),
        (json!({"args": ["--user-data-dir=/home/me/profile"]}), "user-data-dir"),
        (json!({"args": ["--user-data-dir=/tmp/../etc"]}), "user-data-dir"),
        (json!({"args": ["--trace-startup-file=/x"]}), "trace-startup-file"),
        (json!({"args": ["--log-net-log=/x"]}), "log-net-log"),
        (json!({"args": ["--ssl-key-log-file=/x"]}), "ssl-key-log-file"),
        (json!({"args": ["--explicitly-allowed-ports=6667"]}), "explicitly-allowed-ports"),
        (
            json!({"args": ["--clear-key-cdm-path-for-testing=/x.so"]}),
            "clear-key-cdm-path-for-testing",
        ),
        (json!({"args": ["--host-resolver-rules=MAP * 10.0.0.1"]}), "host-resolver-rules"),
        (json!({"args": ["--enable-features=A,MojoJS"]}), "--enable-features=MojoJS"),
        (json!({"args": ["--enable-features=*MojoJS<Trial:a/b"]}), "--enable-features=MojoJS"),
        (
            json!({"args": ["--enable-blink-features=MojoJSTest"]}),
            "--enable-blink-features=MojoJSTest",
        ),
        (json!({"args": ["--ENABLE-FEATURES=mojojs"]}), "--enable-features=mojojs"),
        (json!({"args": ["--enable-features=DirectSockets"]}), "DirectSockets"),
        (json!({"args": ["--enable-features=IsolatedWebAppDevMode"]}), "IsolatedWebAppDevMode"),
        (json!({"args": ["--enable-blink-features=DirectSockets"]}), "DirectSockets"),
        (json!({"args": ["--js-flags=--expose-gc --logfile=/x"]}), "--logfile"),
        (json!({"args": ["--brand-new-cmd-prefix=/bin/sh"]}), "brand-new-cmd-prefix"),
        (json!({"args": "--headless"}), "args"),
        (json!({"args": [1]}), "args"),
        (json!({"excludeSwitches": "x"}), "excludeSwitches"),
        (json!({"prefs": {"proxy.mode": "x"}}), "prefs: proxy.mode"),
        (json!({"prefs": {"protocol_handler": {"allowed": 1}}}), "prefs: protocol_handler"),
        (json!({"prefs": {"a": {"print_command": "sh"}}}), "prefs: a.print_command"),
        (json!({"localState": {"proxy": {"mode": "direct"}}}), "localState: proxy"),
        (
            json!({"localState": {"browser.enabled_labs_experiments": ["mojo-js@1"]}}),
            "localState: mojo-js",
        ),
        (
            json!({"localState": {"browser.enabled_labs_experiments": [
                "enable-isolated-web-app-dev-mode@1",
            ]}}),
            "localState: enable-isolated-web-app-dev-mode",
        ),
        (json!({"perfLoggingPrefs": {"file": "/x"}}), "perfLoggingPrefs.file"),
        (json!([]), "goog:chromeOptions"),
    ] {
        for policy in [LENIENT, STRICT] {
            assert_refused(&chrome(options.clone(), policy), named, &options);
        }
    }
    // A feature that keeps something in is refused where it is switched off, and only there where the class is strict.
    let options = json!({"args": ["--disable-features=A,NetworkServiceSandbox"]});
    assert_refused(&chrome(options.clone(), STRICT), "NetworkServiceSandbox", &options);
}

#[test]
fn the_usual_options_are_allowed_even_by_a_strict_class() {
    let options = json!({
        "args": [
            "--headless=new", "--window-size=800,600", "--disable-gpu", "--disable-dev-shm-usage", "start-maximized",
            "--disable-blink-features=AutomationControlled", "--disable-features=IsolateOrigins,site-per-process",
            "--enable-features=NetworkService,PrivacySandboxAdsAPIsOverride", "--lang=de", "--log-level=3", "--incognito",
            "--js-flags=--max-old-space-size=350", "--blink-settings=imagesEnabled=false", "--mute-audio",
            "--use-file-for-fake-video-capture=/tmp/a.y4m", "--profile-directory=Default", "--password-store=basic",
            "--user-agent=a b", "--disable-web-security", "--an-unknown-one",
        ],
        "prefs": {"download.default_directory": "/tmp", "profile": {"default_content_setting_values": {"geolocation": 2}}},
        "localState": {"browser.enabled_labs_experiments": ["same-site-by-default-cookies@2"]},
        "perfLoggingPrefs": {"enableNetwork": true, "traceCategories": "a"},
        "mobileEmulation": {"deviceName": "Pixel 7"},
        "excludeSwitches": ["enable-automation", "enable-logging"],
        "extensions": [], "detach": true, "useAutomationExtension": false, "w3c": true,
    });
    let set = json!({"goog:chromeOptions": options});
    let checked = chrome(options, STRICT);
    assert_eq!((json!(checked.kept), checked.ignored), (set, vec![]));
    assert_eq!(checked.refusals, Vec::<String>::new());
}

#[test]
fn what_cannot_be_allowed_but_harms_nobody_is_dropped_and_told() {
    for (text, told) in [
        ("--no-sandbox", "no-sandbox"),
        ("no-sandbox", "no-sandbox"),
        ("--disable-setuid-sandbox", "disable-setuid-sandbox"),
        ("--no-zygote", "no-zygote"),
        ("--single-process", "single-process"),
        ("--disable-dev-shm-usage", "disable-dev-shm-usage"),
        ("--disable-gpu", "disable-gpu"),
        ("--headless", "headless"),
        ("--headless=new", "headless"),
        ("--headless=old", "headless"),
        ("--remote-debugging-port=0", "remote-debugging-port"),
        ("--remote-debugging-port=9222", "remote-debugging-port"),
        ("--remote-debugging-address=0.0.0.0", "remote-debugging-address"),
        ("--remote-debugging-pipe", "remote-debugging-pipe"),
        ("--remote-allow-origins=*", "remote-allow-origins"),
        ("--user-data-dir=/tmp/profile-1", "user-data-dir"),
        ("--user-data-dir=C:\\Users\\me\\AppData\\Local\\Temp\\x", "user-data-dir"),
        ("--disk-cache-dir=/dev/null", "disk-cache-dir"),
        ("--crash-dumps-dir=/tmp", "crash-dumps-dir"),
        ("--data-path=/tmp/data-path", "data-path"),
        ("--proxy-server='direct://'", "proxy-server"),
        ("--proxy-bypass-list=*", "proxy-bypass-list"),
        ("--no-proxy-server", "no-proxy-server"),
    ] {
        let checked = chrome(json!({"args": ["--lang=de", text]}), LENIENT);
        assert_eq!(
            json!(checked.kept),
            json!({"goog:chromeOptions": {"args": ["--lang=de"]}}),
            "{text}"
        );
        assert_eq!(checked.ignored, [format!("goog:chromeOptions.args: --{told}")], "{text}");
        assert_eq!(checked.refusals, Vec::<String>::new(), "{text}");
    }
    let features = json!({"args": ["--disable-features=A,NetworkServiceSandbox,B"]});
    let checked = chrome(features, LENIENT);
    assert_eq!(checked.kept["goog:chromeOptions"]["args"], json!(["--disable-features=A,B"]));
    assert_eq!(
        checked.ignored,
        ["goog:chromeOptions.args: --disable-features=NetworkServiceSandbox"]
    );
    let binary = json!({"binary": "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe"});
    let checked = chrome(binary, LENIENT);
    assert_eq!(json!(checked.kept), json!({"goog:chromeOptions": {}}));
    assert_eq!(checked.ignored, ["goog:chromeOptions.binary"]);
}

#[test]
fn a_client_cannot_take_our_own_switches_away() {
    let asked = json!({"excludeSwitches": ["enable-automation", "remote-debugging-port", "disable-quic", "--user-data-dir"]});
    let checked = chrome(asked.clone(), LENIENT);
    assert_eq!(checked.kept["goog:chromeOptions"]["excludeSwitches"], json!(["enable-automation"]));
    assert_eq!(checked.ignored.len(), 3);
    assert_eq!(chrome(asked, STRICT).refusals.len(), 3);
}

#[test]
fn all_refusals_are_told_at_once_and_each_once() {
    let checked = chrome(
        json!({
            "binary": "/bin/sh",
            "args": ["--gpu-launcher=a", "--gpu-launcher=b", "--log-file=c", "--no-sandbox"],
            "prefs": {"proxy": 1},
        }),
        LENIENT,
    );
    assert_eq!(checked.refusals.len(), 4, "{:?}", checked.refusals);
    assert_eq!(checked.ignored, ["goog:chromeOptions.args: --no-sandbox"]);
}

#[test]
fn a_strict_class_refuses_what_a_lenient_one_drops() {
    for text in
        ["--no-sandbox", "--remote-debugging-port=0", "--user-data-dir=/tmp/x", "--no-proxy-server"]
    {
        let checked = chrome(json!({"args": [text]}), STRICT);
        assert_eq!((checked.ignored.len(), checked.refusals.len()), (0, 1), "{text}");
    }
}

#[test]
fn where_only_the_container_confines_no_sandbox_changes_nothing() {
    for strict in [false, true] {
        let checked =
            chrome(json!({"args": ["--no-sandbox"]}), Policy { strict, browser_sandbox: false });
        assert_eq!(checked.kept["goog:chromeOptions"]["args"], json!(["--no-sandbox"]));
        assert_eq!((checked.ignored.len(), checked.refusals.len()), (0, 0));
    }
}

#[test]
fn what_was_ignored_is_ours_to_say() {
    let asked = json!({IGNORED: ["a"], "goog:chromeOptions": {"args": ["--no-sandbox"]}});
    let set = check(asked.as_object().unwrap().clone(), LENIENT).into_set();
    assert_eq!(ignored(&set), ["goog:chromeOptions.args: --no-sandbox"]);
    let silent = json!({IGNORED: ["a"]});
    assert_eq!(json!(check(silent.as_object().unwrap().clone(), LENIENT).into_set()), json!({}));
}

#[test]
fn firefox_has_few_options_that_are_allowed() {
    for (options, named) in [
        (json!({"binary": "/bin/sh"}), "moz:firefoxOptions.binary"),
        (json!({"env": {"LD_PRELOAD": "x"}}), "env"),
        (json!({"androidPackage": "x"}), "androidPackage"),
        (json!({"args": ["-profile", "/x"]}), "-profile"),
        (json!({"args": ["--remote-allow-system-access"]}), "remote-allow-system-access"),
        (json!({"args": ["--start-debugger-server=6000"]}), "start-debugger-server"),
        (json!({"args": ["-P"]}), "-p is not allowed"),
        (json!({"args": "x"}), "args"),
        (json!({"args": ["about:config"]}), "about:config"),
        (json!({"args": ["-url", " A\tbout:config"]}), "browser's own"),
        (json!({"args": ["-new-tab=about:config"]}), "new-tab"),
        (json!({"args": ["chrome://global/content/x.html"]}), "chrome://"),
        (json!({"args": ["file:///etc/passwd"]}), "file:"),
        (json!({"args": ["about:devtools-toolbox?type=process&id=0"]}), "devtools-toolbox"),
        (json!({"prefs": {"browser.startup.homepage": "about:config"}}), "homepage"),
        (json!({"prefs": {"browser.startup.homepage": "http://a/|about:config"}}), "homepage"),
        (json!({"prefs": {"network.security.ports.banned.override": "6667"}}), "ports.banned"),
        (json!({"prefs": {"network.proxy.type": 1}}), "network.proxy.type"),
        (json!({"prefs": {"network.dns.forceResolve": "10.0.0.1"}}), "network.dns.forceResolve"),
        (json!({"prefs": {"helpers.private_mailcap_file": "/x"}}), "helpers.private_mailcap_file"),
        (json!({"prefs": {"logging.config.LOG_FILE": "/x"}}), "logging.config.LOG_FILE"),
        (json!({"prefs": {"extensions.experiments.enabled": true}}), "extensions.experiments"),
        (json!({"prefs": {"remote.system-access-check.enabled": false}}), "remote.system"),
        (json!({"prefs": {"print.printer_x.print_command": "sh"}}), "print_command"),
        (json!({"prefs": {"toolkit.defaultChromeURI": "data:,"}}), "toolkit.defaultChromeURI"),
        (json!({"prefs": {"a.brand_new_file": "/x"}}), "a.brand_new_file"),
        (json!({"profile": 1}), "profile"),
        (json!(1), "moz:firefoxOptions"),
    ] {
        for policy in [LENIENT, STRICT] {
            assert_refused(&firefox(options.clone(), policy), named, &options);
        }
    }
    for (options, named) in [
        (json!({"profile": "UEsDB"}), "profile is not allowed; preferences go into prefs"),
        (json!({"prefs": {"security.sandbox.content.level": 0}}), "security.sandbox"),
        (json!({"args": ["--no-sandbox"]}), "-no-sandbox"),
    ] {
        assert_refused(&firefox(options.clone(), STRICT), named, &options);
    }
    let usual = json!({
        "args": [
            "-headless", "--width", "1280", "--height=720", "-private", "https://example.com",
            "about:blank",
        ],
        "prefs": {"browser.startup.homepage": "about:blank", "intl.accept_languages": "de", "network.proxyish": 1, "remote.active-protocols": 3},
        "log": {"level": "trace"},
    });
    for policy in [LENIENT, STRICT] {
        let checked = firefox(usual.clone(), policy);
        assert_eq!(checked.kept["moz:firefoxOptions"], usual);
        assert_eq!((checked.ignored.len(), checked.refusals.len()), (0, 0));
    }
}

#[test]
fn what_firefox_does_not_need_is_dropped_and_told() {
    let checked = firefox(
        json!({
            "binary": "/usr/bin/firefox",
            "env": {"MOZ_HEADLESS": "1"},
            "args": ["--no-sandbox", "--disable-dev-shm-usage", "-headless", "--remote-debugging-port", "0", "-marionette"],
            "prefs": {"network.proxy.type": 0, "xpinstall.signatures.required": false, "a": 1},
        }),
        LENIENT,
    );
    assert_eq!(checked.refusals, Vec::<String>::new());
    assert_eq!(
        json!(checked.kept["moz:firefoxOptions"]),
        json!({"args": ["-headless"], "prefs": {"a": 1}})
    );
    assert_eq!(checked.ignored.len(), 8, "{:?}", checked.ignored);
}

fn zip(files: &[(&str, &str)]) -> String {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in files {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(text.as_bytes()).unwrap();
    }
    STANDARD.encode(writer.finish().unwrap().into_inner())
}

#[test]
fn a_profile_of_preferences_becomes_filtered_preferences() {
    let user = "// Mozilla User Preferences\n\nuser_pref(\"browser.startup.page\", 0);\n\
                user_pref(\"a.text\", \"x, \\\"y\\\"\");\nuser_pref(\"xpinstall.signatures.required\", false);\n\
                user_pref(\"said.twice\", true);\n";
    let profile = zip(&[
        ("user.js", user),
        ("prefs.js", "user_pref(\"browser.startup.page\", 3);"),
        ("webdriver_prefs.json", "{}"),
        ("extensions/", ""),
    ]);
    let checked = firefox(json!({"profile": profile, "prefs": {"said.twice": 1}}), LENIENT);
    assert_eq!(checked.refusals, Vec::<String>::new());
    assert_eq!(
        json!(checked.kept["moz:firefoxOptions"]),
        json!({"prefs": {"browser.startup.page": 0, "a.text": "x, \"y\"", "said.twice": 1}})
    );
    assert_eq!(checked.ignored, ["moz:firefoxOptions.prefs: xpinstall.signatures.required"]);
}

#[test]
fn a_profile_with_anything_else_is_refused_by_the_files_name() {
    let many: Vec<String> = (0..70).map(|n| format!("d{n}/")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "")).collect();
    // Three megabytes that pack into a few kilobytes.
    let bomb = " ".repeat(3 << 20);
    for (profile, named) in [
        (zip(&[("user.js", ""), ("extensions/a.xpi", "")]), "it has extensions/a.xpi"),
        (zip(&[("handlers.json", "")]), "it has handlers.json"),
        (zip(&[("../user.js", "")]), "it has ../user.js"),
        (zip(&[("chrome/userChrome.css", "")]), "it has chrome/userChrome.css"),
        (
            zip(&[("user.js", "lockPref(\"a\", 1);")]),
            "user.js with more than a preference in line 1",
        ),
        (zip(&[("user.js", "user_pref(\"a\", 1); quit();")]), "line 1"),
        (zip(&[("user.js", &bomb)]), "more than 262144 bytes"),
        (zip(&many), "more than 64 files"),
        (zip(&[("user.js", "user_pref(\"network.proxy.http\", \"x\");")]), "network.proxy.http"),
        ("UEsDB".to_owned(), "must be a zip in base64"),
        ("!".to_owned(), "must be a zip in base64"),
    ] {
        let asked = json!({"profile": profile});
        assert_refused(&firefox(asked, LENIENT), named, &json!(named));
    }
}

fn text() -> impl Strategy<Value = String> {
    let names = [
        "no-sandbox",
        "headless",
        "proxy-server",
        "enable-features",
        "disable-features",
        "user-data-dir",
        "js-flags",
        "remote-debugging-port",
        "lang",
        "no-remote",
        "width",
        "gpu-launcher",
        "x",
    ];
    let values = [
        "",
        "=",
        "=/tmp/x",
        "=MojoJS",
        "=A,NetworkServiceSandbox",
        "=direct://",
        "=1",
        "=--expose-gc",
    ];
    (
        prop::sample::select(vec!["", "-", "--", " --"]),
        prop::sample::select(names.to_vec()),
        prop::sample::select(values.to_vec()),
    )
        .prop_map(|(dashes, name, value)| format!("{dashes}{name}{value}"))
}

proptest! {
    // The agent checks what the controller let through, with the class's policy or without.
    #[test]
    fn what_is_kept_would_be_kept_again_and_never_refused(
        args in prop::collection::vec(text(), 0..6),
        excluded in prop::collection::vec(text(), 0..3),
        prefs in prop::collection::btree_map("(proxy|network.proxy.type|a|security.sandbox|x.print_command)", 0..6_i32, 0..4),
        strict in any::<bool>(),
        browser_sandbox in any::<bool>(),
    ) {
        let policy = Policy { strict, browser_sandbox };
        let options = json!({"args": args, "excludeSwitches": excluded, "prefs": prefs});
        for browser in ["goog:chromeOptions", "moz:firefoxOptions"] {
            let mut options = options.clone();
            if browser == "moz:firefoxOptions" {
                options.as_object_mut().unwrap().remove("excludeSwitches");
            }
            let first = of(browser, options, policy);
            if first.refusals.is_empty() {
                let again = check(first.kept.clone(), policy);
                prop_assert_eq!(&again.kept, &first.kept);
                prop_assert_eq!(again.ignored.len() + again.refusals.len(), 0);
                let at_the_bind = check(first.kept, Policy { strict: true, browser_sandbox });
                prop_assert_eq!(at_the_bind.refusals, Vec::<String>::new());
            }
        }
    }
}
