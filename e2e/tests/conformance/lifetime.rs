//! How sessions and their sockets end (B.6).

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use crds::Reason;
use e2e::Bidi;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    fixture::Fixture,
    reply::INVALID_SESSION,
    rows::Rows,
    rule::{Rule, rule},
};

/// How long sockets may stay open after their session's end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

pub fn rules() -> Vec<Rule> {
    vec![
        rule(
            "B.6",
            "session.end answers {}, then every socket is closed (BiDi only)",
            async |fixture| end_bare(fixture, "session.end").await,
        ),
        rule(
            "B.6",
            "session.end answers {}, then every socket is closed (Classic and BiDi)",
            async |fixture| end_shared(fixture, "session.end").await,
        ),
        rule(
            "B.6",
            "browser.close answers {}, then every socket is closed (BiDi only)",
            async |fixture| end_bare(fixture, "browser.close").await,
        ),
        rule(
            "B.6",
            "browser.close answers {}, then every socket is closed (Classic and BiDi)",
            async |fixture| end_shared(fixture, "browser.close").await,
        ),
        rule("B.6", "a session can be made right after the reply to session.end", replacement),
        rule("B.6", "Delete Session closes every socket", delete),
        rule("B.6", "a session made over HTTP outlives its sockets", outlives),
        rule("B.6", "a session made by session.new ends with its socket", with_socket),
        rule("B.6", "a session made by session.new is not there over HTTP", no_http),
        rule("B.6", "a session made by session.new has no other socket", no_other),
    ]
}

/// Ends a session that speaks BiDi only.
async fn end_bare(fixture: &Fixture, method: &str) -> Result<()> {
    let mut bare = fixture.new_bare().await?;
    let object = fixture.object(bare.id()?).await?;
    let result = bare.bidi.command(method, json!({})).await?;
    ensure!(result == json!({}), "the result is {result}");
    bare.bidi.closed(CLOSE_TIMEOUT).await.context("the socket after the reply")?;
    fixture.over(&object, Reason::ClientEnded).await
}

async fn replacement(fixture: &Fixture) -> Result<()> {
    let mut bare = fixture.new_bare().await?;
    bare.bidi.command("session.end", json!({})).await?;
    let mut next = fixture.new_bare().await.context("right after the reply")?;
    next.bidi.context().await?;
    next.bidi.command("session.end", json!({})).await.map(drop)
}

/// Ends a session that speaks Classic as well, by one of its two sockets.
async fn end_shared(fixture: &Fixture, method: &str) -> Result<()> {
    let session = fixture.new_session(&json!({"webSocketUrl": true})).await?;
    fixture
        .with_removal(session, async |session| {
            let object = fixture.object(&session.id).await?;
            let mut one = fixture.socket(session).await?;
            let mut other = fixture.socket(session).await?;
            other.context().await?;
            let result = one.command(method, json!({"vendor:more": 1})).await?;
            ensure!(result == json!({}), "the result is {result}");
            let gone =
                fixture.fails(Method::GET, &session.path("/url"), None, INVALID_SESSION).await;
            gone.context("Get Current URL right after the reply")?;
            let (first, second) =
                tokio::join!(one.closed(CLOSE_TIMEOUT), other.closed(CLOSE_TIMEOUT));
            first.context("the asker's socket")?;
            second.context("the other socket")?;
            let refusal = Bidi::refusal(&fixture.namespace.cluster.socket_url(&session.id)).await?;
            ensure!(refusal == 404, "a handshake gets {refusal}");
            let path = session.path("");
            fixture.fails(Method::DELETE, &path, None, INVALID_SESSION).await?;
            fixture.over(&object, Reason::ClientEnded).await
        })
        .await
}

async fn delete(fixture: &Fixture) -> Result<()> {
    let session = fixture.new_session(&json!({"webSocketUrl": true})).await?;
    let mut one = fixture.socket(&session).await?;
    let mut other = fixture.socket(&session).await?;
    other.context().await?;
    let value = fixture.delete(&session.path("")).await?;
    ensure!(value == Value::Null, "it answered {value}");
    let (first, second) = tokio::join!(one.closed(CLOSE_TIMEOUT), other.closed(CLOSE_TIMEOUT));
    first?;
    second.map(drop)
}

async fn outlives(fixture: &Fixture) -> Result<()> {
    fixture
        .with_session(json!({"webSocketUrl": true}), async |session| {
            let mut bidi = fixture.socket(session).await?;
            let context = bidi.context().await?;
            bidi.close().await?;
            fixture.get(&session.path("/url")).await.context("after a Close frame")?;
            // One that is only dropped.
            drop(fixture.socket(session).await?);
            fixture.get(&session.path("/url")).await.context("after a drop")?;
            let mut again = fixture.socket(session).await.context("a new socket")?;
            let same = again.context().await?;
            ensure!(same == context, "the context was {context} and is {same}");
            Ok(())
        })
        .await
}

/// Nobody can attach to it again, so that it would be there for nobody.
async fn with_socket(fixture: &Fixture) -> Result<()> {
    let bare = fixture.new_bare().await?;
    let object = fixture.object(bare.id()?).await?;
    bare.bidi.close().await?;
    fixture.over(&object, Reason::Disconnected).await
}

/// "A session created this way will not be accessible via HTTP" (BiDi, "session.new").
async fn no_http(fixture: &Fixture) -> Result<()> {
    let mut bare = fixture.bare().await?.lock().await;
    let id = bare.id()?.to_owned();
    let mut rows = Rows::default();
    for (method, rest, body) in [
        (Method::GET, "/url", None),
        (Method::GET, "/title", None),
        (Method::GET, "/timeouts", None),
        (Method::POST, "/url", Some(json!({"url": "about:blank"}))),
        (Method::POST, "/back", Some(json!([]))),
        (Method::DELETE, "/window", None),
        (Method::DELETE, "", None),
    ] {
        let path = format!("/session/{id}{rest}");
        let outcome = fixture.fails(method.clone(), &path, body.as_ref(), INVALID_SESSION).await;
        rows.row(format!("{method} {rest}"), outcome);
    }
    rows.row("the session afterwards", bare.bidi.context().await.map(drop));
    rows.done()
}

/// Its path is no resource: only New Session with webSocketUrl adds one (BiDi, "Establishing a Connection").
async fn no_other(fixture: &Fixture) -> Result<()> {
    let mut bare = fixture.bare().await?.lock().await;
    let refusal = Bidi::refusal(&fixture.namespace.cluster.socket_url(bare.id()?)).await?;
    ensure!(refusal == 404, "a handshake gets {refusal}");
    bare.bidi.context().await.map(drop)
}
