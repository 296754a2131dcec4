//! The capability unhandledPromptBehavior (WebDriver, "User Prompt Handler"; A.4).

use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    fixture::{Fixture, Session},
    rows::each,
    rule::{Rule, rule},
    validation::{refused, taken},
};

/// Every kind of prompt that can be asked for.
const KINDS: [&str; 6] = ["alert", "beforeUnload", "confirm", "default", "file", "prompt"];
/// Everything that can be done with one.
const HANDLERS: [&str; 5] =
    ["accept", "dismiss", "accept and notify", "dismiss and notify", "ignore"];

pub fn rules() -> Vec<Rule> {
    vec![
        rule("A.4", "unhandledPromptBehavior must be a handler, or a map of handlers", wrong),
        rule("A.4", "every handler is taken, as a string and for every kind of prompt", right),
        rule(
            "A.4",
            "unhandledPromptBehavior is told as a string if it was asked for as one",
            string,
        ),
        rule("A.4", "unhandledPromptBehavior is told as the map that was asked for", map),
        rule("A.4", "an empty unhandledPromptBehavior is told as an empty map", empty),
        rule("A.4", "a prompt that nothing was said about is dismissed, and told", by_default),
    ]
}

async fn wrong(fixture: &Fixture) -> Result<()> {
    let mut values = each(json!([
        true, 1, [], ["accept"], "", "Accept", "IGNORE", "accept and", "accept  and notify", "ignore and notify",
        "notify", {"Alert": "accept"}, {"beforeunload": "accept"}, {"other": "accept"},
        // The standard's name for the string form, which is none for a map.
        {"fallbackDefault": "accept"}, {"": "accept"},
    ]));
    for kind in KINDS {
        for handler in
            each(json!([null, true, 1, [], {}, "", "ACCEPT", "other", "ignore and notify"]))
        {
            values.push(json!({kind: handler}));
        }
    }
    refused(fixture, "unhandledPromptBehavior", values.into()).await
}

async fn right(fixture: &Fixture) -> Result<()> {
    let mut values = vec![json!({})];
    for handler in HANDLERS {
        values.push(json!(handler));
        values.extend(KINDS.map(|kind| json!({kind: handler})));
    }
    taken(fixture, "unhandledPromptBehavior", values.into()).await
}

/// What happens to an open confirm(): what the page got, and whether the next command failed for it.
async fn confirm(fixture: &Fixture, session: &Session) -> Result<(Value, bool)> {
    let run = async |script: &str| {
        let body = json!({"script": script, "args": []});
        fixture.send(Method::POST, &session.path("/execute/sync"), Some(&body)).await
    };
    // The prompt must be open only after the script that opens it has returned.
    run("setTimeout(() => { window.said = confirm('sure?') })").await?;
    let reply = e2e::wait::eventually(std::time::Duration::from_secs(10), async || {
        // Null as well where the prompt opened under this very script.
        let said = run("return window.said ?? null").await?;
        ensure!(!said.body["value"].is_null(), "no prompt yet");
        Ok(said)
    })
    .await?;
    let told = reply.error() == "unexpected alert open";
    ensure!(told || reply.status == 200, "{}", reply.body);
    let said = if told {
        run("return window.said").await?.body["value"].clone()
    } else {
        reply.body["value"].clone()
    };
    Ok((said, told))
}

async fn string(fixture: &Fixture) -> Result<()> {
    fixture
        .with_session(json!({"unhandledPromptBehavior": "accept"}), async |session| {
            let told = &session.capabilities["unhandledPromptBehavior"];
            ensure!(told == "accept", "{told}");
            let outcome = confirm(fixture, session).await?;
            ensure!(outcome == (json!(true), false), "a confirm() gave {outcome:?}");
            Ok(())
        })
        .await
}

async fn map(fixture: &Fixture) -> Result<()> {
    let asked = json!({
        "alert": "accept", "beforeUnload": "dismiss", "confirm": "accept and notify", "default": "ignore",
        "prompt": "dismiss and notify",
    });
    fixture
        .with_session(json!({"unhandledPromptBehavior": asked}), async |session| {
            let told = &session.capabilities["unhandledPromptBehavior"];
            ensure!(*told == asked, "{told}, not {asked}");
            let outcome = confirm(fixture, session).await?;
            ensure!(outcome == (json!(true), true), "a confirm() gave {outcome:?}");
            Ok(())
        })
        .await
}

async fn empty(fixture: &Fixture) -> Result<()> {
    fixture
        .with_session(json!({"unhandledPromptBehavior": {}}), async |session| {
            let told = &session.capabilities["unhandledPromptBehavior"];
            ensure!(*told == json!({}), "{told}");
            Ok(())
        })
        .await
}

async fn by_default(fixture: &Fixture) -> Result<()> {
    let session = fixture.plain_alone().await?;
    let told = &session.capabilities["unhandledPromptBehavior"];
    ensure!(told == "dismiss and notify", "{told}");
    let outcome = confirm(fixture, &session).await?;
    ensure!(outcome == (json!(false), true), "a confirm() gave {outcome:?}");
    Ok(())
}
