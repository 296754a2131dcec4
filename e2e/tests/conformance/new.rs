//! The static commands: session.status and session.new (B.3 and B.4).

use anyhow::{Context, Result, ensure};
use e2e::Bidi;
use serde_json::{Value, json};

use crate::{
    fixture::{Fixture, NO_BROWSER},
    response::check_uuid,
    rows::{Is, Rows},
    rule::{Rule, rule},
};

pub fn rules() -> Vec<Rule> {
    vec![
        rule("B.3", "session.status tells ready and a message, with a session and without", status),
        rule("B.4", "session.new answers exactly sessionId and capabilities", exactly),
        rule("B.4", "session.new's capabilities have every required member", members),
        rule("B.4", "session.new's webSocketUrl is absent, or can be dialled", socket_url),
        rule("B.4", "session.new on a session's socket is session not created", second),
        rule("B.4", "a session.new that fails leaves its socket as it was", failure),
        rule("B.4", "session.new of what nothing matches is session not created", matches),
    ]
}

async fn status(fixture: &Fixture) -> Result<()> {
    let mut rows = Rows::default();
    let shared = fixture.shared().await?;
    for (name, mut bidi) in
        [("bare", fixture.bare_socket().await?), ("session", fixture.socket(shared).await?)]
    {
        let status = bidi.command("session.status", json!({})).await?;
        let check = || {
            ensure!(status["ready"].is_boolean() && status["message"].is_string(), "{status}");
            ensure!(name == "session" || status["ready"] == true, "{status}");
            Ok(())
        };
        rows.row(name, check());
    }
    rows.done()
}

async fn exactly(fixture: &Fixture) -> Result<()> {
    let bare = fixture.bare().await?.lock().await;
    let result = bare.result.as_object().context("an object")?;
    let mut keys: Vec<&String> = result.keys().collect();
    keys.sort_unstable();
    ensure!(keys == ["capabilities", "sessionId"], "{keys:?}");
    check_uuid(bare.id()?)
}

async fn members(fixture: &Fixture) -> Result<()> {
    let mut bare = fixture.bare().await?.lock().await;
    let told = bare.result["capabilities"].clone();
    let told = told.as_object().context("capabilities")?;
    let mut rows = Rows::default();
    let required: [(&str, Is); 6] = [
        ("acceptInsecureCerts", |value| *value == false),
        ("browserName", Value::is_string),
        ("browserVersion", Value::is_string),
        ("platformName", |value| value == "linux"),
        ("setWindowRect", Value::is_boolean),
        ("userAgent", Value::is_string),
    ];
    for (name, is) in required {
        let check = || {
            let value = told.get(name).context("it is missing")?;
            ensure!(is(value), "it is {value}");
            Ok(())
        };
        rows.row(name, check());
    }
    let optional: [(&str, Is); 3] = [
        // A proxy that nobody asked for is none; where there is one it has a type.
        ("proxy", |value| value["proxyType"].is_string()),
        ("unhandledPromptBehavior", Value::is_object),
        ("webSocketUrl", Value::is_string),
    ];
    for (name, is) in optional {
        let check = || {
            let value = told.get(name);
            ensure!(value.is_none_or(is), "it is {value:?}");
            Ok(())
        };
        rows.row(name, check());
    }
    let named = told["browserName"] == fixture.browser.name();
    rows.row(
        "browserName",
        named.then_some(()).with_context(|| format!("it is {}", told["browserName"])),
    );
    let context = bare.bidi.context().await?;
    let own = bare.bidi.evaluate(&context, "navigator.userAgent").await?;
    let same = told.get("userAgent") == Some(&own);
    rows.row("userAgent", same.then_some(()).with_context(|| format!("it is not {own}")));
    let ours = told.keys().find(|name| name.starts_with("browser-operator:"));
    rows.row("ours", ours.is_none().then_some(()).with_context(|| format!("{ours:?} is told")));
    rows.done()
}

async fn socket_url(fixture: &Fixture) -> Result<()> {
    let bare = fixture.bare().await?.lock().await;
    match bare.result["capabilities"].get("webSocketUrl") {
        None => Ok(()),
        Some(url) => {
            let url = url.as_str().context("webSocketUrl is no text")?;
            Bidi::connect(url).await?.close().await
        }
    }
}

async fn second(fixture: &Fixture) -> Result<()> {
    let mut bare = fixture.bare().await?.lock().await;
    let mut rows = Rows::default();
    let wanted = fixture.wanted_by_bidi();
    let code = bare.bidi.failure("session.new", wanted.clone()).await;
    rows.row("made by session.new", is_refused(code));
    bare.bidi.context().await.context("the session afterwards")?;
    let mut bidi = fixture.socket(fixture.shared().await?).await?;
    rows.row("made over HTTP", is_refused(bidi.failure("session.new", wanted).await));
    bidi.context().await.context("the session afterwards")?;
    rows.done()
}

fn is_refused(code: Result<String>) -> Result<()> {
    let code = code?;
    ensure!(code == "session not created", "{code}");
    Ok(())
}

async fn failure(fixture: &Fixture) -> Result<()> {
    let mut bidi = fixture.bare_socket().await?;
    for (capabilities, code) in [
        (json!({"alwaysMatch": {"acceptInsecureCerts": "yes"}}), "invalid argument"),
        (json!({"alwaysMatch": {"browserName": NO_BROWSER}}), "session not created"),
        (json!({"firstMatch": []}), "invalid argument"),
    ] {
        let seen = bidi.failure("session.new", json!({"capabilities": capabilities})).await?;
        ensure!(seen == code, "{capabilities}: {seen}");
        let seen = bidi.failure("browsingContext.getTree", json!({})).await?;
        ensure!(seen == "invalid session id", "getTree after {capabilities}: {seen}");
        bidi.command("session.status", json!({})).await?;
    }
    let name = fixture.browser.name();
    let first = json!([{"browserName": NO_BROWSER}, {"browserName": name, "browserVersion": ">1"}]);
    let wanted = json!({"capabilities": {"firstMatch": first}});
    let result = bidi.command("session.new", wanted).await?;
    ensure!(result["capabilities"]["browserName"] == name, "{result}");
    bidi.context().await?;
    bidi.command("session.end", json!({})).await.map(drop)
}

async fn matches(fixture: &Fixture) -> Result<()> {
    let mut bidi = fixture.bare_socket().await?;
    let name = fixture.browser.name();
    for set in [
        json!({"browserName": name.to_uppercase()}),
        json!({"browserName": name, "platformName": "windows"}),
        json!({"browserName": name, "browserVersion": "<1"}),
    ] {
        let params = json!({"capabilities": {"alwaysMatch": set}});
        let code = bidi.failure("session.new", params).await?;
        ensure!(code == "session not created", "{set}: {code}");
    }
    Ok(())
}
