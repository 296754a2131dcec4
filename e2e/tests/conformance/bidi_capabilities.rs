//! Where BiDi's capabilities differ from Classic's (WebDriver BiDi, "session.CapabilityRequest"; B.5).

use anyhow::{Result, bail, ensure};
use serde_json::{Value, json};

use crate::{
    ground::{Ground, NO_BROWSER, with},
    rule::{Rule, all, each, rule},
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
async fn code(ground: &Ground, params: &Value) -> Result<String> {
    let mut bidi = ground.bare_socket().await?;
    let reply = bidi.exchange("session.new", params.clone()).await?;
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
    ground: &Ground,
    params: impl IntoIterator<Item = Value>,
    wanted: &str,
) -> Result<()> {
    all(params, Value::to_string, async |params| {
        let code = code(ground, params).await?;
        ensure!(code == wanted, "{code}");
        Ok(())
    })
    .await
}

async fn refused(ground: &Ground, sets: Vec<Value>) -> Result<()> {
    let params = sets.into_iter().flat_map(|set| {
        [
            json!({"capabilities": {"alwaysMatch": ground.of_browser(&set)}}),
            json!({"capabilities": {"firstMatch": [ground.of_browser(&json!({})), ground.of_browser(&set)]}}),
        ]
    });
    fail(ground, params, "invalid argument").await
}

/// They are of the right form; what nothing matches is the browserName.
async fn taken(ground: &Ground, sets: Vec<Value>) -> Result<()> {
    let params = sets
        .iter()
        .map(|set| json!({"capabilities": {"alwaysMatch": with(set, "browserName", NO_BROWSER)}}));
    fail(ground, params, "session not created").await
}

async fn forms(ground: &Ground) -> Result<()> {
    let params = each(json!([
        {}, {"capabilities": null}, {"capabilities": []}, {"capabilities": "x"},
        {"capabilities": {"alwaysMatch": null}}, {"capabilities": {"alwaysMatch": []}},
        {"capabilities": {"firstMatch": null}}, {"capabilities": {"firstMatch": {}}},
        {"capabilities": {"firstMatch": []}}, {"capabilities": {"firstMatch": [null]}},
        {"capabilities": {"firstMatch": [{}, []]}}, {"desiredCapabilities": {}},
    ]));
    fail(ground, params, "invalid argument").await
}

async fn nulls(ground: &Ground) -> Result<()> {
    let names = [
        "acceptInsecureCerts",
        "browserName",
        "browserVersion",
        "platformName",
        "proxy",
        "unhandledPromptBehavior",
    ];
    refused(ground, names.map(|name| json!({name: null})).into()).await?;
    let map = json!({"unhandledPromptBehavior": {"alert": null}});
    refused(ground, vec![map]).await
}

async fn types(ground: &Ground) -> Result<()> {
    refused(
        ground,
        each(json!([
            {"acceptInsecureCerts": 1}, {"acceptInsecureCerts": "true"}, {"browserName": 1}, {"browserVersion": true},
            {"platformName": []}, {"proxy": "direct"}, {"webSocketUrl": "true"}, {"webSocketUrl": 1},
            {"setWindowRect": true},
            {"nothing": 1},
        ])),
    )
    .await
}

async fn prompts(ground: &Ground) -> Result<()> {
    let mut sets = each(json!([
        "accept", "dismiss", "ignore", "dismiss and notify", [], 1, true, {"other": "accept"}, {"alert": "other"},
        {"alert": 1}, {"fallbackDefault": "accept"},
    ]));
    for kind in ["alert", "beforeUnload", "confirm", "default", "file", "prompt"] {
        sets.push(json!({kind: "accept and notify"}));
        sets.push(json!({kind: "dismiss and notify"}));
    }
    let sets = sets.into_iter().map(|value| json!({"unhandledPromptBehavior": value}));
    refused(ground, sets.collect()).await
}

async fn prompt_maps(ground: &Ground) -> Result<()> {
    let mut maps = vec![json!({})];
    for kind in ["alert", "beforeUnload", "confirm", "default", "file", "prompt"] {
        maps.extend(["accept", "dismiss", "ignore"].map(|handler| json!({kind: handler})));
    }
    taken(ground, maps.into_iter().map(|map| json!({"unhandledPromptBehavior": map})).collect())
        .await
}

async fn proxies(ground: &Ground) -> Result<()> {
    let proxy = |list: Value| each(list).into_iter().map(|proxy| json!({"proxy": proxy})).collect();
    let wrong = proxy(json!([
        {}, {"proxyType": "other"}, {"proxyType": null}, {"proxyType": "pac"},
        {"proxyType": "pac", "proxyAutoconfigUrl": 1},
        {"proxyType": "manual", "socksProxy": "a.example:1"}, {"proxyType": "manual", "socksVersion": 5},
        {"proxyType": "manual", "socksProxy": "a.example:1", "socksVersion": 256},
        {"proxyType": "manual", "httpProxy": 1}, {"proxyType": "manual", "noProxy": "a"},
        {"proxyType": "manual", "httpProxy": null},
    ]));
    refused(ground, wrong).await?;
    let right = proxy(json!([
        {"proxyType": "direct"}, {"proxyType": "system"}, {"proxyType": "autodetect"}, {"proxyType": "manual"},
        {"proxyType": "pac", "proxyAutoconfigUrl": "http://a.example/proxy.pac"},
        {"proxyType": "manual", "socksProxy": "a.example:1", "socksVersion": 5, "noProxy": ["b.example"]},
    ]));
    taken(ground, right).await
}

async fn merging(ground: &Ground) -> Result<()> {
    let set = ground.of_browser(&json!({}));
    let params = [
        json!({"capabilities": {"alwaysMatch": set, "firstMatch": [set]}}),
        json!({"capabilities": {"alwaysMatch": set, "firstMatch": [{}, {"browserName": NO_BROWSER}]}}),
    ];
    fail(ground, params, "invalid argument").await
}
