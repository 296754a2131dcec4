//! Matching capabilities (WebDriver, "matching capabilities"; A.4).

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    fixture::{Fixture, NO_BROWSER, Session},
    reply::{INVALID_ARGUMENT, NOT_CREATED, expect},
    rows::Rows,
    rule::{Rule, rule},
};

pub fn rules() -> Vec<Rule> {
    vec![
        rule("A.4", "what nothing matches is session not created", nothing),
        rule("A.4", "browserName and platformName match exactly, in their case", exactly),
        rule("A.4", "the first entry of firstMatch that matches is taken", in_order),
        rule(
            "A.4",
            "a later entry of firstMatch is validated, though an earlier one would match",
            all_valid,
        ),
        rule("A.4", "browserVersion that is not offered does not match", other_versions),
        rule("A.4", "browserVersion takes the version, its major, and <, <=, >, >=", versions),
        rule("A.4", "a proxy is used and told, or nothing matches", proxy),
        rule("A.4", "unknown members beside capabilities are no error", members),
    ]
}

async fn nothing(fixture: &Fixture) -> Result<()> {
    let mut rows = Rows::default();
    for set in [
        json!({"browserName": NO_BROWSER}),
        json!({"browserName": ""}),
        fixture.of_browser(&json!({"platformName": "windows"})),
        fixture.of_browser(&json!({"platformName": "mac"})),
        fixture.of_browser(&json!({"platformName": ""})),
        fixture.of_browser(&json!({"browserVersion": "0"})),
    ] {
        rows.row(&set, fixture.unmatched(json!({"alwaysMatch": set})).await);
        rows.row(
            format!("{set} in firstMatch"),
            fixture.unmatched(json!({"firstMatch": [set, set]})).await,
        );
    }
    rows.done()
}

async fn exactly(fixture: &Fixture) -> Result<()> {
    let mut rows = Rows::default();
    let name = fixture.browser.name();
    let capital = format!("{}{}", name[..1].to_uppercase(), &name[1..]);
    for name in
        [capital, name.to_uppercase(), format!("{name} "), format!(" {name}"), name[1..].to_owned()]
    {
        let set = json!({"browserName": name});
        rows.row(&set, fixture.unmatched(json!({"alwaysMatch": set})).await);
    }
    for name in ["LINUX", "Linux", "linux ", "lin"] {
        let set = fixture.of_browser(&json!({"platformName": name}));
        rows.row(&set, fixture.unmatched(json!({"alwaysMatch": set})).await);
    }
    rows.done()
}

/// A session whose firstMatch is this must have been made from the last entry, which alone is eager.
async fn from_last(fixture: &Fixture, always: &Value, mut first: Vec<Value>) -> Result<()> {
    let last = first.last_mut().context("an entry")?;
    last["pageLoadStrategy"] = json!("eager");
    first.push(json!({"pageLoadStrategy": "none"}));
    let body = json!({"capabilities": {"alwaysMatch": always, "firstMatch": first}});
    let session = fixture.create(&body).await?;
    fixture
        .with_removal(session, async |session| {
            let told = &session.capabilities["pageLoadStrategy"];
            ensure!(told == "eager", "pageLoadStrategy is {told}");
            let told = &session.capabilities["browserName"];
            ensure!(told == fixture.browser.name(), "browserName is {told}");
            Ok(())
        })
        .await
}

async fn in_order(fixture: &Fixture) -> Result<()> {
    let first = vec![
        json!({"browserName": NO_BROWSER}),
        json!({"browserName": fixture.browser.name().to_uppercase()}),
        json!({"browserName": fixture.browser.name(), "platformName": "windows"}),
        json!({"browserName": fixture.browser.name(), "browserVersion": "<1"}),
        json!({"browserName": fixture.browser.name(), "browserVersion": ">1", "platformName": "linux"}),
    ];
    from_last(fixture, &json!({}), first).await
}

async fn all_valid(fixture: &Fixture) -> Result<()> {
    let always = fixture.of_browser(&json!({}));
    for wrong in
        [json!({"timeouts": 1}), json!({"browserVersion": 1}), json!({"nothing": 1}), json!([])]
    {
        fixture.invalid(json!({"alwaysMatch": always, "firstMatch": [{}, {}, wrong]})).await?;
    }
    Ok(())
}

async fn other_versions(fixture: &Fixture) -> Result<()> {
    let mut rows = Rows::default();
    let full = fixture.plain().await?.text("browserVersion")?.to_owned();
    let major = full.split('.').next().unwrap_or_default().to_owned();
    for version in [
        "<1".to_owned(),
        "<=1".to_owned(),
        ">9999".to_owned(),
        ">=9999".to_owned(),
        "1".to_owned(),
        "9999".to_owned(),
        "no version".to_owned(),
        format!("<{full}"),
        format!(">{full}"),
        format!("<{major}"),
        format!("{full}.1"),
        format!("{major}1"),
    ] {
        let set = fixture.of_browser(&json!({"browserVersion": version}));
        rows.row(version, fixture.unmatched(json!({"alwaysMatch": set})).await);
    }
    rows.done()
}

async fn versions(fixture: &Fixture) -> Result<()> {
    let mut rows = Rows::default();
    let full = fixture.plain().await?.text("browserVersion")?.to_owned();
    let major = full.split('.').next().unwrap_or_default().to_owned();
    let always = fixture.of_browser(&json!({}));
    // The full one is asked for below, the other operators with other rules.
    for version in [major, format!(">={full}"), "<9999".to_owned()] {
        let first = vec![json!({"browserVersion": "<1"}), json!({"browserVersion": version})];
        rows.row(version, from_last(fixture, &always, first).await);
    }
    rows.done()
}

/// "A local end would only send this capability if it expected it to be honored" (WebDriver, "matching capabilities").
async fn proxy(fixture: &Fixture) -> Result<()> {
    // Nothing listens there, so a page that loads came by another way.
    let proxy = json!({"proxyType": "manual", "httpProxy": "127.0.0.1:9"});
    let body =
        json!({"capabilities": {"alwaysMatch": fixture.of_browser(&json!({"proxy": proxy}))}});
    let reply = fixture.send(Method::POST, "/session", Some(&body)).await?;
    if reply.status != 200 {
        return expect(&reply, NOT_CREATED);
    }
    let session = Session::new(reply.body["value"].clone())?;
    fixture
        .with_removal(session, async |session| {
            let told = &session.capabilities["proxy"];
            ensure!(*told == proxy, "proxy is {told}");
            let page = json!({"url": fixture.page("/")});
            fixture
                .fails(Method::POST, &session.path("/url"), Some(&page), (500, "unknown error"))
                .await
        })
        .await
}

async fn members(fixture: &Fixture) -> Result<()> {
    let none = json!({"alwaysMatch": {"browserName": NO_BROWSER}});
    let body =
        json!({"capabilities": none, "user": "alice", "desiredCapabilities": 1, "other": [null]});
    fixture.refuses(&body, NOT_CREATED).await?;
    let body = json!({"capabilities": {"alwaysMatch": [], "other": 1}, "desiredCapabilities": {}});
    fixture.refuses(&body, INVALID_ARGUMENT).await?;
    let full = fixture.plain().await?.text("browserVersion")?.to_owned();
    let set = fixture.of_browser(&json!({"browserVersion": full}));
    let body = json!({
        "capabilities": {"alwaysMatch": set, "firstMatch": [{}], "other": 1},
        "desiredCapabilities": {"browserName": NO_BROWSER},
        "user": "alice",
    });
    let session = fixture.create(&body).await?;
    fixture.with_removal(session, async |_| Ok(())).await
}
