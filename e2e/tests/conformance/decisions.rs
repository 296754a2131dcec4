//! Where the standard, its tests and the drivers disagree, and what was decided (A.6).

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::{
    fixture::Fixture,
    rule::{Rule, rule},
    validation::{refused, taken},
};

pub fn rules() -> Vec<Rule> {
    vec![
        rule("A.6", "timeouts with another key is refused", other_timeout),
        rule("A.6", "a timeout with a fraction is refused", fraction),
        rule("A.6", "a timeout that is null is taken, and told as null", null_timeout),
        rule("A.6", "setWindowRect cannot be asked for", window_rect),
        rule("A.6", "a proxy with another key is refused", other_proxy_key),
        rule("A.6", "noProxy that is no list is refused", no_proxy),
        rule(
            "A.6",
            "a proxy that is empty, pac without URL, socks without version is refused",
            half,
        ),
        rule("A.6", "one client may have several sessions", several),
    ]
}

async fn other_timeout(fixture: &Fixture) -> Result<()> {
    let values = json!([
        {"invalid": 10}, {"invalid": null}, {"Script": 10}, {"page load": 10}, {"": 1}, {"script": 10, "invalid": 10},
    ]);
    refused(fixture, "timeouts", values).await
}

async fn fraction(fixture: &Fixture) -> Result<()> {
    let values = json!([{"script": 2.5}, {"pageLoad": 2.5}, {"implicit": 2.5}, {"implicit": 0.1}]);
    refused(fixture, "timeouts", values).await
}

async fn null_timeout(fixture: &Fixture) -> Result<()> {
    let values = json!([{"pageLoad": null}, {"implicit": null}, {"script": null, "pageLoad": 1}]);
    taken(fixture, "timeouts", values).await?;
    fixture
        .with_session(json!({"timeouts": {"pageLoad": null, "script": 7.0}}), async |session| {
            let told = &session.capabilities["timeouts"];
            let set = fixture.get(&session.path("/timeouts")).await?;
            for timeouts in [told, &set] {
                let numbers = (timeouts["script"].as_f64(), timeouts["implicit"].as_f64());
                let null = timeouts.get("pageLoad") == Some(&Value::Null);
                ensure!(null && numbers == (Some(7.0), Some(0.0)), "told {told}, set {set}");
            }
            Ok(())
        })
        .await
}

async fn window_rect(fixture: &Fixture) -> Result<()> {
    refused(fixture, "setWindowRect", json!([true, false, 1, "true", {}])).await
}

async fn other_proxy_key(fixture: &Fixture) -> Result<()> {
    let values = json!([
        {"proxyType": "direct", "other": 1}, {"proxyType": "direct", "other": null},
        {"proxyType": "manual", "HttpProxy": "a:1"},
        {"proxyType": "manual", "class": "org.openqa.selenium.Proxy"}, {"proxyType": "manual", "socksUsername": "a"},
    ]);
    refused(fixture, "proxy", values).await
}

async fn no_proxy(fixture: &Fixture) -> Result<()> {
    let values = json!([
        {"proxyType": "manual", "noProxy": "a"}, {"proxyType": "manual", "noProxy": ""},
        {"proxyType": "direct", "noProxy": "a.example,b.example"},
    ]);
    refused(fixture, "proxy", values).await
}

async fn half(fixture: &Fixture) -> Result<()> {
    let values = json!([
        {}, {"proxyType": "pac"}, {"proxyType": "pac", "httpProxy": "a.example:1"},
        {"proxyType": "manual", "socksProxy": "a.example:1"}, {"proxyType": "direct", "socksProxy": "a.example:1"},
    ]);
    refused(fixture, "proxy", values).await
}

/// An endpoint has one, we have as many as there is room for.
async fn several(fixture: &Fixture) -> Result<()> {
    let (one, other) = (fixture.plain().await?, fixture.shared().await?);
    fixture.get(&one.path("/window")).await?;
    fixture.get(&other.path("/window")).await?;
    Ok(())
}
