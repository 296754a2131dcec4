//! What New Session answers (WebDriver, "New Session"; A.4).

use anyhow::{Context, Result, ensure};
use e2e::Bidi;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    fixture::Fixture,
    reply::expect,
    rows::{Is, Rows},
    rule::{Rule, rule},
};

pub fn rules() -> Vec<Rule> {
    vec![
        rule("A.4", "New Session answers exactly sessionId and capabilities", exactly),
        rule("A.4", "sessionId is a UUID", uuid),
        rule("A.4", "capabilities has every capability of the standard", all),
        rule("A.4", "what was not asked for is told with the standard's default", defaults),
        rule("A.4", "what was asked for is told as it was asked for", echo),
        rule("A.4", "userAgent is the browser's own", user_agent),
        rule("A.4", "webSocketUrl is told if true was asked for, and can be dialled", socket_url),
        rule(
            "A.4",
            "webSocketUrl is not told if it was not asked for, or false or null was",
            no_socket,
        ),
        rule("A.4", "the gateway's own capabilities are not told", own),
        rule("A.4", "an address inside the pod is not told", inside),
    ]
}

async fn exactly(fixture: &Fixture) -> Result<()> {
    let plain = fixture.plain().await?;
    for session in [&*plain, fixture.shared().await?] {
        let value = session.value.as_object().context("an object")?;
        let mut keys: Vec<&str> = value.keys().map(String::as_str).collect();
        keys.sort_unstable();
        ensure!(keys == ["capabilities", "sessionId"], "{keys:?}");
        ensure!(session.capabilities.is_object(), "capabilities is {}", session.capabilities);
    }
    Ok(())
}

/// The text of a UUID: lower case, with its hyphens (RFC 9562, section 4).
pub fn check_uuid(id: &str) -> Result<()> {
    let uuid = Uuid::parse_str(id).context("a UUID")?;
    ensure!(uuid.to_string() == id && !uuid.is_nil(), "a UUID of another form");
    Ok(())
}

async fn uuid(fixture: &Fixture) -> Result<()> {
    let plain = fixture.plain().await?;
    for session in [&*plain, fixture.shared().await?] {
        check_uuid(&session.id)?;
    }
    Ok(())
}

async fn all(fixture: &Fixture) -> Result<()> {
    let mut rows = Rows::default();
    let plain = fixture.plain().await?;
    for session in [&*plain, fixture.shared().await?] {
        let capabilities = &session.capabilities;
        let is: [(&str, Is); 11] = [
            ("browserName", Value::is_string),
            ("browserVersion", Value::is_string),
            ("platformName", Value::is_string),
            ("acceptInsecureCerts", Value::is_boolean),
            ("pageLoadStrategy", Value::is_string),
            ("proxy", Value::is_object),
            ("setWindowRect", Value::is_boolean),
            ("timeouts", Value::is_object),
            ("strictFileInteractability", Value::is_boolean),
            ("unhandledPromptBehavior", |value| value.is_string() || value.is_object()),
            ("userAgent", Value::is_string),
        ];
        for (name, is) in is {
            let check = || {
                let value = capabilities.get(name).context("it is missing")?;
                ensure!(is(value), "it is {value}");
                Ok(())
            };
            rows.row(name, check());
        }
    }
    rows.done()
}

async fn defaults(fixture: &Fixture) -> Result<()> {
    let mut rows = Rows::default();
    let plain = fixture.plain().await?;
    let told = &plain.capabilities;
    for (name, value) in [
        ("browserName", json!(fixture.browser.name())),
        ("platformName", json!("linux")),
        ("acceptInsecureCerts", json!(false)),
        ("pageLoadStrategy", json!("normal")),
        ("proxy", json!({})),
        ("setWindowRect", json!(true)),
        ("timeouts", json!({"script": 30_000, "pageLoad": 300_000, "implicit": 0})),
        ("strictFileInteractability", json!(false)),
        ("unhandledPromptBehavior", json!("dismiss and notify")),
    ] {
        let check = || {
            ensure!(told[name] == value, "{}, not {value}", told[name]);
            Ok(())
        };
        rows.row(name, check());
    }
    let version = told["browserVersion"].as_str().unwrap_or_default();
    let has_form = version.starts_with(|first: char| first.is_ascii_digit());
    rows.row(
        "browserVersion",
        has_form.then_some(()).with_context(|| format!("it is {version:?}")),
    );
    rows.done()
}

async fn echo(fixture: &Fixture) -> Result<()> {
    let asked = json!({
        "acceptInsecureCerts": true,
        "strictFileInteractability": true,
        "pageLoadStrategy": "eager",
        "platformName": "linux",
        "proxy": {"proxyType": "direct"},
        "timeouts": {"implicit": 44, "script": 55_000},
        "unhandledPromptBehavior": "accept and notify",
    });
    fixture
        .with_session(asked.clone(), async |session| {
            let mut rows = Rows::default();
            let told = &session.capabilities;
            let timeouts = json!({"implicit": 44, "script": 55_000, "pageLoad": 300_000});
            for (name, value) in asked.as_object().context("a set")? {
                let value = if name == "timeouts" { &timeouts } else { value };
                let check = || {
                    ensure!(told[name] == *value, "{}, not {value}", told[name]);
                    Ok(())
                };
                rows.row(name, check());
            }
            let set = fixture.get(&session.path("/timeouts")).await?;
            let same = (set == timeouts).then_some(()).with_context(|| format!("{set}"));
            rows.row("Get Timeouts", same);
            rows.done()
        })
        .await
}

async fn user_agent(fixture: &Fixture) -> Result<()> {
    let session = fixture.shared().await?;
    let script = json!({"script": "return navigator.userAgent", "args": []});
    let own = fixture.post(&session.path("/execute/sync"), script).await?;
    let told = session.text("userAgent")?;
    ensure!(own == told, "{told:?}, not {own}");
    Ok(())
}

async fn socket_url(fixture: &Fixture) -> Result<()> {
    let session = fixture.shared().await?;
    let url = session.text("webSocketUrl")?;
    let wanted = fixture.namespace.cluster.socket_url(&session.id);
    ensure!(url == wanted, "{url}, not {wanted}");
    Bidi::connect(url).await?.close().await
}

async fn no_socket(fixture: &Fixture) -> Result<()> {
    let plain = fixture.plain().await?;
    let told = &plain.capabilities;
    ensure!(told.get("webSocketUrl").is_none(), "not asked for: {told}");
    for asked in [json!(false), Value::Null] {
        fixture
            .with_session(json!({"webSocketUrl": asked}), async |session| {
                let told = &session.capabilities;
                ensure!(told.get("webSocketUrl").is_none(), "{asked} was asked for: {told}");
                let refusal =
                    Bidi::refusal(&fixture.namespace.cluster.socket_url(&session.id)).await?;
                ensure!(refusal == 404, "{asked} was asked for: a handshake gets {refusal}");
                Ok(())
            })
            .await?;
    }
    Ok(())
}

/// "these specific capabilities must not be forwarded to the endpoint node" (WebDriver, "New Session"); Firefox
/// would tell them again.
async fn own(fixture: &Fixture) -> Result<()> {
    let asked = json!({
        "browser-operator:timeoutSeconds": 600,
        "browser-operator:userMetadata": {"secret": "s"},
        "browser-operator:class": null,
        "se:remoteUrl": fixture.namespace.cluster.settings.gateway_url,
    });
    fixture
        .with_session(asked, async |session| {
            let told = session.capabilities.as_object().context("a set")?;
            let ours = |name: &&String| {
                name.starts_with("browser-operator:") || name.as_str() == "se:remoteUrl"
            };
            ensure!(told.keys().find(ours).is_none(), "{}", session.capabilities);
            let object = fixture.namespace.cluster.session_with_id(&session.id).await?;
            ensure!(object.spec.timeout_seconds == Some(600), "timeoutSeconds: {:?}", object.spec);
            Ok(())
        })
        .await?;
    for (name, value) in [("nothing", json!(1)), ("timeoutSeconds", json!("long"))] {
        let set = fixture.of_browser(&json!({format!("browser-operator:{name}"): value}));
        let body = json!({"capabilities": {"alwaysMatch": set}});
        let reply = fixture.send(Method::POST, "/session", Some(&body)).await?;
        expect(&reply, crate::reply::INVALID_ARGUMENT)?;
    }
    Ok(())
}

/// A client that is told `debuggerAddress` dials it, and finds another program there, or none.
async fn inside(fixture: &Fixture) -> Result<()> {
    let plain = fixture.plain().await?;
    for session in [&*plain, fixture.shared().await?] {
        let told = &session.capabilities;
        for address in [
            &told["goog:chromeOptions"]["debuggerAddress"],
            &told["ms:edgeOptions"]["debuggerAddress"],
            &told["moz:debuggerAddress"],
        ] {
            ensure!(!address.is_string(), "{address} in {told}");
        }
        let text = told.to_string();
        ensure!(!text.contains("localhost:") && !text.contains("127.0.0.1:"), "{text}");
    }
    Ok(())
}
