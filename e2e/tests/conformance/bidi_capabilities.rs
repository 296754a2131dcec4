//! Where BiDi's capabilities differ from Classic's (WebDriver BiDi, "session.CapabilityRequest"; B.5).

use anyhow::{Result, bail, ensure};
use serde_json::{Value, json};

use crate::{
    fixture::{Fixture, NO_BROWSER, with},
    rows::{all, each},
    rule::{Rule, rule},
};

pub fn rules() -> Vec<Rule> {
    vec![
        rule("B.5", "session.new's capabilities must be an object, with objects in it", forms),
        rule("B.5", "null is no value of a capability", nulls),
        rule("B.5", "a capability of the wrong type is refused", types),
        rule("B.5", "unhandledPromptBehavior must be a map, without \"and notify\"", prompts),
        rule("B.5", "every map of handlers is taken", prompt_maps),
        rule("B.5", "a proxy has what its type needs", proxies),
        rule("B.5", "a name in alwaysMatch and in firstMatch is refused", merging),
    ]
}

/// The code with which a `session.new` fails.
async fn code(fixture: &Fixture, params: &Value) -> Result<String> {
    let mut bidi = fixture.bare_socket().await?;
    let reply = bidi.send_command("session.new", params.clone()).await?;
    match reply["error"].as_str() {
        Some(code) => Ok(code.to_owned()),
        None => {
            bidi.command("session.end", json!({})).await?;
            bail!("a session was made")
        }
    }
}

/// Checks that every one of these parameters fails so.
async fn fail(
    fixture: &Fixture,
    params: impl IntoIterator<Item = Value>,
    wanted: &str,
) -> Result<()> {
    all(params, Value::to_string, async |params| {
        let code = code(fixture, params).await?;
        ensure!(code == wanted, "{code}");
        Ok(())
    })
    .await
}

async fn refused(fixture: &Fixture, sets: Vec<Value>) -> Result<()> {
    let params = sets.into_iter().flat_map(|set| {
        [
            json!({"capabilities": {"alwaysMatch": fixture.of_browser(&set)}}),
            json!({"capabilities": {"firstMatch": [fixture.of_browser(&json!({})), fixture.of_browser(&set)]}}),
        ]
    });
    fail(fixture, params, "invalid argument").await
}

/// They are of the right form; what nothing matches is the browserName.
async fn taken(fixture: &Fixture, sets: Vec<Value>) -> Result<()> {
    let params = sets
        .iter()
        .map(|set| json!({"capabilities": {"alwaysMatch": with(set, "browserName", NO_BROWSER)}}));
    fail(fixture, params, "session not created").await
}

async fn forms(fixture: &Fixture) -> Result<()> {
    let params = each(json!([
        {}, {"capabilities": null}, {"capabilities": []}, {"capabilities": "x"},
        {"capabilities": {"alwaysMatch": null}}, {"capabilities": {"alwaysMatch": []}},
        {"capabilities": {"firstMatch": null}}, {"capabilities": {"firstMatch": {}}},
        {"capabilities": {"firstMatch": []}}, {"capabilities": {"firstMatch": [null]}},
        {"capabilities": {"firstMatch": [{}, []]}}, {"desiredCapabilities": {}},
    ]));
    fail(fixture, params, "invalid argument").await
}

async fn nulls(fixture: &Fixture) -> Result<()> {
    let names = [
        "acceptInsecureCerts",
        "browserName",
        "browserVersion",
        "platformName",
        "proxy",
        "unhandledPromptBehavior",
    ];
    refused(fixture, names.map(|name| json!({name: null})).into()).await?;
    let map = json!({"unhandledPromptBehavior": {"alert": null}});
    refused(fixture, vec![map]).await
}

async fn types(fixture: &Fixture) -> Result<()> {
    refused(
        fixture,
        each(json!([
            {"acceptInsecureCerts": 1}, {"acceptInsecureCerts": "true"}, {"browserName": 1}, {"browserVersion": true},
            {"platformName": []}, {"proxy": "direct"}, {"webSocketUrl": "true"}, {"webSocketUrl": 1},
            {"setWindowRect": true},
            {"nothing": 1},
        ])),
    )
    .await
}

async fn prompts(fixture: &Fixture) -> Result<()> {
    let mut sets = each(json!([
        "accept", "dismiss", "ignore", "dismiss and notify", [], 1, true, {"other": "accept"}, {"alert": "other"},
        {"alert": 1}, {"fallbackDefault": "accept"},
    ]));
    for kind in ["alert", "beforeUnload", "confirm", "default", "file", "prompt"] {
        sets.push(json!({kind: "accept and notify"}));
        sets.push(json!({kind: "dismiss and notify"}));
    }
    let sets = sets.into_iter().map(|value| json!({"unhandledPromptBehavior": value}));
    refused(fixture, sets.collect()).await
}

async fn prompt_maps(fixture: &Fixture) -> Result<()> {
    let mut maps = vec![json!({})];
    for kind in ["alert", "beforeUnload", "confirm", "default", "file", "prompt"] {
        maps.extend(["accept", "dismiss", "ignore"].map(|handler| json!({kind: handler})));
    }
    taken(fixture, maps.into_iter().map(|map| json!({"unhandledPromptBehavior": map})).collect())
        .await
}

async fn proxies(fixture: &Fixture) -> Result<()> {
    let proxy = |list: Value| each(list).into_iter().map(|proxy| json!({"proxy": proxy})).collect();
    let wrong = proxy(json!([
        {}, {"proxyType": "other"}, {"proxyType": null}, {"proxyType": "pac"},
        {"proxyType": "pac", "proxyAutoconfigUrl": 1},
        {"proxyType": "manual", "socksProxy": "a.example:1"}, {"proxyType": "manual", "socksVersion": 5},
        {"proxyType": "manual", "socksProxy": "a.example:1", "socksVersion": 256},
        {"proxyType": "manual", "httpProxy": 1}, {"proxyType": "manual", "noProxy": "a"},
        {"proxyType": "manual", "httpProxy": null},
    ]));
    refused(fixture, wrong).await?;
    let right = proxy(json!([
        {"proxyType": "direct"}, {"proxyType": "system"}, {"proxyType": "autodetect"}, {"proxyType": "manual"},
        {"proxyType": "pac", "proxyAutoconfigUrl": "http://a.example/proxy.pac"},
        {"proxyType": "manual", "socksProxy": "a.example:1", "socksVersion": 5, "noProxy": ["b.example"]},
    ]));
    taken(fixture, right).await
}

async fn merging(fixture: &Fixture) -> Result<()> {
    let set = fixture.of_browser(&json!({}));
    let params = [
        json!({"capabilities": {"alwaysMatch": set, "firstMatch": [set]}}),
        json!({"capabilities": {"alwaysMatch": set, "firstMatch": [{}, {"browserName": NO_BROWSER}]}}),
    ];
    fail(fixture, params, "invalid argument").await
}
