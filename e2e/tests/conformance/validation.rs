//! Validating capabilities (WebDriver, "validate capabilities"; A.4).

use anyhow::{Result, ensure};
use e2e::with_namespace;
use kube::{ResourceExt, api::ListParams};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    fixture::{Fixture, NO_BROWSER},
    reply::{INVALID_ARGUMENT, expect},
    rows::{Rows, all, each},
    rule::{Rule, rule},
};

pub fn rules() -> Vec<Rule> {
    vec![
        rule("A.4", "New Session's body must be a JSON object", body),
        rule("A.4", "capabilities must be an object, and must be there", capabilities),
        rule("A.4", "desiredCapabilities alone is refused", desired),
        rule("A.4", "alwaysMatch must be an object", always),
        rule("A.4", "firstMatch must be a list of one or more objects", first),
        rule("A.4", "a capability of the wrong type is refused, wherever it stands", types),
        rule("A.4", "what is no capability is refused, wherever it stands", unknown),
        rule("A.4", "acceptInsecureCerts and the like take true and false", booleans),
        rule("A.4", "pageLoadStrategy takes none, eager and normal", strategies),
        rule("A.4", "proxy must be a proxy", not_proxies),
        rule("A.4", "every form of proxy is taken", proxies),
        rule(
            "A.4",
            "a proxy's host may have credentials, socksVersion may stand alone",
            odd_proxies,
        ),
        rule("A.4", "timeouts must be integers from 0 to 2^53-1", not_timeouts),
        rule("A.4", "timeouts from 0 to 2^53-1 are taken, each alone or all", timeouts),
        rule("A.4", "an extension capability is taken, whatever its value", extensions),
        rule("A.4", "null is as if absent, whatever the name", nulls),
        rule("A.4", "a refused New Session leaves no object behind", nothing_left),
    ]
}

async fn body(fixture: &Fixture) -> Result<()> {
    let mut rows = Rows::default();
    for body in [
        "",
        " ",
        "{",
        "[]",
        "null",
        "42",
        "\"text\"",
        "true",
        "{}",
        "{\"capabilities\": {}",
        "\u{feff}x",
    ] {
        rows.row(
            format!("{body:?}"),
            fixture.refuses_text(body.to_owned(), INVALID_ARGUMENT).await,
        );
    }
    let none = fixture.send(Method::POST, "/session", None).await;
    rows.row("no body", none.and_then(|reply| expect(&reply, INVALID_ARGUMENT)));
    rows.done()
}

async fn capabilities(fixture: &Fixture) -> Result<()> {
    let mut rows = Rows::default();
    for value in each(json!([null, true, 1, "{}", [], [{}]])) {
        rows.row(&value, fixture.invalid(value.clone()).await);
    }
    rows.row("absent", fixture.refuses(&json!({"other": {}}), INVALID_ARGUMENT).await);
    rows.done()
}

async fn desired(fixture: &Fixture) -> Result<()> {
    let desired = fixture.of_browser(&json!({}));
    let body = json!({"desiredCapabilities": desired});
    fixture.refuses(&body, INVALID_ARGUMENT).await?;
    let body = json!({"desiredCapabilities": desired, "requiredCapabilities": {}});
    fixture.refuses(&body, INVALID_ARGUMENT).await
}

async fn always(fixture: &Fixture) -> Result<()> {
    let mut rows = Rows::default();
    // Null is not undefined.
    for value in each(json!([null, true, 1, "{}", [], [{}]])) {
        rows.row(&value, fixture.invalid(json!({"alwaysMatch": value})).await);
        let beside = json!({"alwaysMatch": value, "firstMatch": [fixture.of_browser(&json!({}))]});
        rows.row(format!("{value} beside firstMatch"), fixture.invalid(beside).await);
    }
    rows.done()
}

async fn first(fixture: &Fixture) -> Result<()> {
    let mut rows = Rows::default();
    for value in each(json!([
        null,
        true,
        1,
        "[]",
        {},
        [],
        [null],
        [true],
        [1],
        ["{}"],
        [[]],
        [{}, null],
        [{}, []],
        [{}, {}, 1],
    ])) {
        let capabilities =
            json!({"alwaysMatch": fixture.of_browser(&json!({})), "firstMatch": value});
        rows.row(&value, fixture.invalid(capabilities).await);
    }
    rows.done()
}

/// The three places where a capability can stand; in the last an earlier entry would match.
fn places(fixture: &Fixture, name: &str, value: &Value) -> [Value; 3] {
    let set = json!({name: value});
    let rest = if name == "browserName" { json!({}) } else { fixture.of_browser(&json!({})) };
    [
        json!({"alwaysMatch": fixture.of_browser(&set)}),
        json!({"alwaysMatch": rest, "firstMatch": [set]}),
        json!({"alwaysMatch": rest, "firstMatch": [{}, set]}),
    ]
}

/// Checks that a capability is refused with each of the values, in every place.
pub async fn refused(fixture: &Fixture, name: &str, values: Value) -> Result<()> {
    let places = each(values).into_iter().flat_map(|value| places(fixture, name, &value));
    all(places, Value::to_string, async |capabilities| fixture.invalid(capabilities.clone()).await)
        .await
}

/// Checks that a capability is taken with each of the values.
pub async fn taken(fixture: &Fixture, name: &str, values: Value) -> Result<()> {
    let sets = each(values).into_iter().map(|value| json!({name: value}));
    all(sets, Value::to_string, async |set| fixture.valid(set).await).await
}

async fn types(fixture: &Fixture) -> Result<()> {
    let mut rows = Rows::default();
    for name in ["acceptInsecureCerts", "strictFileInteractability", "webSocketUrl"] {
        let values = json!([0, 1, "", "true", "false", [], [true], {}, {"value": true}]);
        rows.row(name, refused(fixture, name, values).await);
    }
    for name in ["browserName", "browserVersion", "platformName"] {
        let values = json!([0, 1.5, true, false, [], ["chrome"], {}, {"value": "chrome"}]);
        rows.row(name, refused(fixture, name, values).await);
    }
    let values = json!([
        0,
        true,
        [],
        ["none"],
        {},
        "",
        "None",
        "EAGER",
        "normal ",
        " normal",
        "complete",
        "interactive",
    ]);
    rows.row("pageLoadStrategy", refused(fixture, "pageLoadStrategy", values).await);
    rows.done()
}

async fn unknown(fixture: &Fixture) -> Result<()> {
    let mut rows = Rows::default();
    for name in [
        "userAgent",
        "platform",
        "version",
        "javascriptEnabled",
        "requiredCapabilities",
        "alwaysMatch",
        "firstMatch",
        "acceptSslCerts",
        "unexpectedAlertBehaviour",
        "rotatable",
        "handlesAlerts",
        "chromeOptions",
        "moz",
        "goog",
        "",
        "BrowserName",
        "browsername",
        "accept insecure certs",
        "pageloadStrategy",
    ] {
        rows.row(format!("{name:?}"), refused(fixture, name, json!([true, "text", {}])).await);
    }
    rows.done()
}

async fn booleans(fixture: &Fixture) -> Result<()> {
    let mut rows = Rows::default();
    for name in ["acceptInsecureCerts", "strictFileInteractability", "webSocketUrl"] {
        rows.row(name, taken(fixture, name, json!([true, false])).await);
    }
    rows.done()
}

async fn strategies(fixture: &Fixture) -> Result<()> {
    taken(fixture, "pageLoadStrategy", json!(["none", "eager", "normal"])).await
}

async fn not_proxies(fixture: &Fixture) -> Result<()> {
    let mut values = each(json!([
        true, 1, "direct", [], {"proxyType": null}, {"proxyType": 1}, {"proxyType": ""}, {"proxyType": "Direct"},
        {"proxyType": "MANUAL"}, {"proxyType": "other"}, {"proxyType": []}, {"proxytype": "direct"},
        {"httpProxy": "proxy.example:80"},
        // It was in the standard once.
        {"proxyType": "manual", "ftpProxy": "proxy.example:21"},
    ]));
    let mut manual = |key: &str, wrong: Value| {
        for value in each(wrong) {
            let mut proxy = json!({"proxyType": "manual"});
            if key == "socksVersion" {
                proxy["socksProxy"] = json!("proxy.example:1080");
            } else if key == "socksProxy" {
                proxy["socksVersion"] = json!(5);
            }
            proxy[key] = value;
            values.push(proxy);
        }
    };
    for key in ["httpProxy", "sslProxy", "socksProxy"] {
        manual(
            key,
            json!([
                null,
                1,
                true,
                [],
                {},
                "",
                "http://proxy.example",
                "http://proxy.example:80",
                "proxy.example/path",
                "proxy.example:port",
                "proxy.example:65536",
                "proxy.example:-1",
                ":80",
            ]),
        );
    }
    manual("socksVersion", json!([null, -1, 256, 1.5, "5", true, [], {}]));
    manual("noProxy", json!([null, 1, true, {}, [1], [null], ["a.example", {}]]));
    for url in each(json!([null, 1, true, [], {}, "", "no url"])) {
        values.push(json!({"proxyType": "pac", "proxyAutoconfigUrl": url}));
    }
    refused(fixture, "proxy", values.into()).await
}

async fn proxies(fixture: &Fixture) -> Result<()> {
    let manual = |key: &str, values: Value| {
        let proxies =
            each(values).into_iter().map(|value| json!({"proxyType": "manual", key: value}));
        proxies.collect::<Vec<_>>()
    };
    let mut values = each(json!([
        {"proxyType": "direct"}, {"proxyType": "system"}, {"proxyType": "autodetect"}, {"proxyType": "manual"},
        {"proxyType": "pac", "proxyAutoconfigUrl": "http://proxy.example/proxy.pac"},
        {"proxyType": "pac", "proxyAutoconfigUrl": "file:///proxy.pac"},
        {"proxyType": "manual", "socksProxy": "proxy.example:1080", "socksVersion": 0},
        {"proxyType": "manual", "socksProxy": "proxy.example", "socksVersion": 255},
        {"proxyType": "manual", "socksProxy": "proxy.example", "socksVersion": 5.0},
        {"proxyType": "manual", "httpProxy": "a.example:1", "sslProxy": "b.example:2", "noProxy": ["c.example"]},
    ]));
    for key in ["httpProxy", "sslProxy"] {
        values.extend(manual(
            key,
            json!([
                "proxy.example",
                "proxy.example:8080",
                "127.0.0.1",
                "127.0.0.1:1",
                "[::1]",
                "[::1]:8080",
                "localhost:65535",
            ]),
        ));
    }
    values.extend(manual("noProxy", json!([[], ["a.example"], ["a.example", "10.0.0.0/8", ""]])));
    taken(fixture, "proxy", values.into()).await
}

/// "The host may include credentials", and only socksProxy needs something beside it (WebDriver, "Proxy").
async fn odd_proxies(fixture: &Fixture) -> Result<()> {
    let values = json!([
        {"proxyType": "manual", "httpProxy": "alice:secret@proxy.example:8080"},
        {"proxyType": "manual", "sslProxy": "alice:secret@proxy.example"},
        {"proxyType": "manual", "socksVersion": 5},
    ]);
    taken(fixture, "proxy", values).await
}

async fn not_timeouts(fixture: &Fixture) -> Result<()> {
    let mut values = each(json!([true, 1, "30", [], [1], [{}]]));
    for key in ["script", "pageLoad", "implicit"] {
        for value in each(json!([-1, -0.5, 9_007_199_254_740_992u64, 1e20, "1", "", true, [], {}]))
        {
            values.push(json!({key: value}));
        }
        values.push(json!({"script": 1, "pageLoad": 1, "implicit": 1, key: -1}));
    }
    refused(fixture, "timeouts", values.into()).await
}

async fn timeouts(fixture: &Fixture) -> Result<()> {
    let mut values = each(json!([{}, {"script": 1, "pageLoad": 2, "implicit": 3}]));
    for key in ["script", "pageLoad", "implicit"] {
        for value in each(json!([0, 1, 2.0, 1e3, 9_007_199_254_740_991u64])) {
            values.push(json!({key: value}));
        }
    }
    taken(fixture, "timeouts", values.into()).await
}

async fn extensions(fixture: &Fixture) -> Result<()> {
    let mut rows = Rows::default();
    for name in ["vendor:name", "vendor:", ":name", ":", "a:b:c", "se:name", "vendor:browserName"] {
        let values = json!([true, 1, "text", [], {}, {"nested": [null]}]);
        rows.row(name, taken(fixture, name, values).await);
    }
    rows.done()
}

async fn nulls(fixture: &Fixture) -> Result<()> {
    let mut rows = Rows::default();
    let names = [
        "acceptInsecureCerts",
        "browserVersion",
        "pageLoadStrategy",
        "platformName",
        "proxy",
        "setWindowRect",
        "strictFileInteractability",
        "timeouts",
        "unhandledPromptBehavior",
        "webSocketUrl",
        "userAgent",
        "anything",
        "vendor:name",
    ];
    for name in names {
        rows.row(name, fixture.valid(&json!({name: null})).await);
        let first = json!({"firstMatch": [{name: null, "browserName": NO_BROWSER}]});
        rows.row(format!("{name} in firstMatch"), fixture.unmatched(first).await);
    }
    // A browserName that is null asks for any browser, and so does not get in the way of another one.
    let both =
        json!({"alwaysMatch": {"browserName": null}, "firstMatch": [{"browserName": NO_BROWSER}]});
    rows.row("null in alwaysMatch, a value in firstMatch", fixture.unmatched(both).await);
    let both =
        json!({"alwaysMatch": {"browserName": NO_BROWSER}, "firstMatch": [{"browserName": null}]});
    rows.row("a value in alwaysMatch, null in firstMatch", fixture.unmatched(both).await);
    rows.done()
}

/// In a namespace in which nothing else is made.
async fn nothing_left(fixture: &Fixture) -> Result<()> {
    with_namespace(async |namespace| {
        let client = namespace.client().await?;
        let browser = fixture.browser.name();
        for capabilities in each(json!([
            null,
            [],
            {"alwaysMatch": null},
            {"alwaysMatch": {"browserName": browser}, "firstMatch": []},
            {"alwaysMatch": {"browserName": browser}, "firstMatch": [{}, {"timeouts": 1}]},
            {"alwaysMatch": {"browserName": browser, "setWindowRect": true}},
            {"alwaysMatch": {"browserName": browser, "proxy": {}}},
            {"alwaysMatch": {"browserName": browser}, "firstMatch": [{}, {"browserName": browser}]},
            {"alwaysMatch": {"browserName": browser, "browser-operator:timeoutSeconds": "long"}},
            {"alwaysMatch": {"browserName": browser, "browser-operator:nothing": 1}},
        ])) {
            let body = json!({"capabilities": capabilities});
            let reply = client.send(Method::POST, "/session", Some(&body)).await?;
            expect(&reply, INVALID_ARGUMENT)?;
        }
        let sessions = namespace.sessions().list(&ListParams::default()).await?;
        let names: Vec<String> = sessions.iter().map(ResourceExt::name_any).collect();
        ensure!(names.is_empty(), "there are {names:?}");
        Ok(())
    })
    .await
}
