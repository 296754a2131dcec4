//! How a session ends over HTTP (WebDriver, "Delete Session"; A.5).

use anyhow::{Context, Result, ensure};
use crds::Reason;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    ground::{Ground, INVALID_SESSION, NOBODYS},
    rule::{Rows, Rule, rule},
};

pub fn rules() -> Vec<Rule> {
    vec![
        rule("A.5", "Delete Session of an id that nobody has is invalid session id", nobodys),
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

async fn nobodys(ground: &Ground) -> Result<()> {
    let mut rows = Rows::default();
    let known = ground.plain().await?.id.clone();
    for id in [
        NOBODYS,
        "no-uuid",
        "0123456789abcdef0123456789abcdef",
        &known.replace('-', ""),
        &known[..35],
    ] {
        let path = format!("/session/{id}");
        rows.row(id, ground.fails(Method::DELETE, &path, None, INVALID_SESSION).await);
    }
    rows.done()
}

async fn gone(ground: &Ground, id: &str) -> Result<()> {
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
        let outcome = ground.fails(method.clone(), &path, body.as_ref(), INVALID_SESSION).await;
        rows.row(format!("{method} {rest}"), outcome);
    }
    rows.done()
}

async fn delete(ground: &Ground) -> Result<()> {
    let session = ground.new_session(&json!({})).await?;
    let object = ground.object(&session.id).await?;
    let value = ground.delete(&session.path("")).await?;
    ensure!(value == Value::Null, "it answered {value}");
    gone(ground, &session.id).await?;
    ground.over(&object, Reason::ClientEnded).await
}

/// "If session is no longer in the list of active sessions, then send an error with error code invalid session id"
/// (WebDriver, "Processing model").
async fn running(ground: &Ground) -> Result<()> {
    let session = ground.new_session(&json!({"webSocketUrl": true})).await?;
    let mut bidi = ground.socket(&session).await?;
    bidi.command("session.subscribe", json!({"events": ["log.entryAdded"]})).await?;
    // It never calls back. What it logs says that it runs: chromedriver takes no command meanwhile.
    let endless = json!({"script": "console.log('running')", "args": []});
    let path = session.path("/execute/async");
    let end = async {
        bidi.event("log.entryAdded").await?;
        ground.delete(&session.path("")).await
    };
    let refused = ground.fails(Method::POST, &path, Some(&endless), INVALID_SESSION);
    let (refused, ended) = tokio::join!(refused, end);
    ended.context("Delete Session")?;
    refused
}

/// "If there are no more open top-level browsing contexts, then close the session" (WebDriver, "Close Window").
async fn last_window(ground: &Ground) -> Result<()> {
    let session = ground.new_session(&json!({})).await?;
    let object = ground.object(&session.id).await?;
    let handle = ground.get(&session.path("/window")).await?;
    let other = ground.post(&session.path("/window/new"), json!({"type": "tab"})).await?;
    let left = ground.delete(&session.path("/window")).await?;
    ensure!(left == json!([other["handle"]]), "with {handle} closed, {left} is left");
    ground.post(&session.path("/window"), json!({"handle": other["handle"]})).await?;
    let left = ground.delete(&session.path("/window")).await?;
    ensure!(left == json!([]), "with all closed, {left} is left");
    gone(ground, &session.id).await?;
    ground.over(&object, Reason::ClientEnded).await
}

async fn apart(ground: &Ground) -> Result<()> {
    let (one, other) = (ground.plain().await?, ground.shared().await?);
    ensure!(one.id != other.id, "two sessions have one id");
    let handles = (
        ground.get(&one.path("/window/handles")).await?,
        ground.get(&other.path("/window/handles")).await?,
    );
    ensure!(handles.0 != handles.1, "two sessions have the windows {}", handles.0);
    let body = json!({"handle": handles.1[0]});
    ground.fails(Method::POST, &one.path("/window"), Some(&body), (404, "no such window")).await
}
