//! How a session ends over HTTP (WebDriver, "Delete Session"; A.5).

use anyhow::{Context, Result, ensure};
use crds::Reason;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    fixture::{Fixture, UNKNOWN_ID},
    reply::INVALID_SESSION,
    rows::Rows,
    rule::{Rule, rule},
};

pub fn rules() -> Vec<Rule> {
    vec![
        rule("A.5", "Delete Session of an id that nobody has is invalid session id", unknown),
        rule(
            "A.5",
            "Delete Session answers null, and then the session is gone for every command",
            delete,
        ),
        rule("A.5", "a command that runs when its session ends gets invalid session id", running),
        rule("A.5", "Close Window of the last window ends the session", last_window),
        rule("A.5", "sessions are apart from each other", apart),
    ]
}

async fn unknown(fixture: &Fixture) -> Result<()> {
    let mut rows = Rows::default();
    let known = fixture.plain().await?.id.clone();
    for id in [
        UNKNOWN_ID,
        "no-uuid",
        "0123456789abcdef0123456789abcdef",
        &known.replace('-', ""),
        &known[..35],
    ] {
        let path = format!("/session/{id}");
        rows.row(id, fixture.fails(Method::DELETE, &path, None, INVALID_SESSION).await);
    }
    rows.done()
}

async fn gone(fixture: &Fixture, id: &str) -> Result<()> {
    let mut rows = Rows::default();
    for (method, rest, body) in [
        (Method::GET, "/url", None),
        (Method::GET, "/timeouts", None),
        (Method::POST, "/url", Some(json!({"url": "about:blank"}))),
        (Method::POST, "/execute/sync", Some(json!([]))),
        (Method::DELETE, "/window", None),
        (Method::DELETE, "", None),
    ] {
        let path = format!("/session/{id}{rest}");
        let outcome = fixture.fails(method.clone(), &path, body.as_ref(), INVALID_SESSION).await;
        rows.row(format!("{method} {rest}"), outcome);
    }
    rows.done()
}

async fn delete(fixture: &Fixture) -> Result<()> {
    let session = fixture.new_session(&json!({})).await?;
    let object = fixture.object(&session.id).await?;
    let value = fixture.delete(&session.path("")).await?;
    ensure!(value == Value::Null, "it answered {value}");
    gone(fixture, &session.id).await?;
    fixture.over(&object, Reason::ClientEnded).await
}

/// "If session is no longer in the list of active sessions, then send an error with error code invalid session id"
/// (WebDriver, "Processing model").
async fn running(fixture: &Fixture) -> Result<()> {
    let session = fixture.new_session(&json!({"webSocketUrl": true})).await?;
    let mut bidi = fixture.socket(&session).await?;
    bidi.command("session.subscribe", json!({"events": ["log.entryAdded"]})).await?;
    // It never calls back. What it logs says that it runs: chromedriver takes no command meanwhile.
    let endless = json!({"script": "console.log('running')", "args": []});
    let path = session.path("/execute/async");
    let end = async {
        bidi.event("log.entryAdded").await?;
        fixture.delete(&session.path("")).await
    };
    let refused = fixture.fails(Method::POST, &path, Some(&endless), INVALID_SESSION);
    let (refused, ended) = tokio::join!(refused, end);
    ended.context("Delete Session")?;
    refused
}

/// "If there are no more open top-level browsing contexts, then close the session" (WebDriver, "Close Window").
async fn last_window(fixture: &Fixture) -> Result<()> {
    let session = fixture.new_session(&json!({})).await?;
    let object = fixture.object(&session.id).await?;
    let handle = fixture.get(&session.path("/window")).await?;
    let other = fixture.post(&session.path("/window/new"), json!({"type": "tab"})).await?;
    let left = fixture.delete(&session.path("/window")).await?;
    ensure!(left == json!([other["handle"]]), "with {handle} closed, {left} is left");
    fixture.post(&session.path("/window"), json!({"handle": other["handle"]})).await?;
    let left = fixture.delete(&session.path("/window")).await?;
    ensure!(left == json!([]), "with all closed, {left} is left");
    gone(fixture, &session.id).await?;
    fixture.over(&object, Reason::ClientEnded).await
}

async fn apart(fixture: &Fixture) -> Result<()> {
    let (one, other) = (fixture.plain().await?, fixture.shared().await?);
    ensure!(one.id != other.id, "two sessions have one id");
    let handles = (
        fixture.get(&one.path("/window/handles")).await?,
        fixture.get(&other.path("/window/handles")).await?,
    );
    ensure!(handles.0 != handles.1, "two sessions have the windows {}", handles.0);
    let body = json!({"handle": handles.1[0]});
    fixture.fails(Method::POST, &one.path("/window"), Some(&body), (404, "no such window")).await
}
