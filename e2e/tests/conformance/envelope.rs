//! The envelope of a reply (A.2).

use anyhow::{Context, Result, ensure};
use e2e::Reply;
use reqwest::Method;
use serde_json::json;

use crate::{
    fixture::{Fixture, UNKNOWN_ID},
    reply::shortened,
    rows::Rows,
    rule::{Rule, rule},
};

pub fn rules() -> Vec<Rule> {
    vec![
        rule("A.2", "every reply of the gateway itself has the envelope and the two headers", own),
        rule("A.2", "every reply of a browser has the envelope and the two headers", of_browser),
        rule("A.2", "a command without a result answers null, with its key", null),
        rule("A.2", "a reply has no other member beside value", value_only),
    ]
}

/// `Fixture::send` looks at the envelope.
async fn own(fixture: &Fixture) -> Result<()> {
    let mut rows = Rows::default();
    let unknown = format!("/session/{UNKNOWN_ID}");
    let unmatched = json!({"capabilities": {"alwaysMatch": {"browserName": "none"}}}).to_string();
    for (method, path, body, status) in [
        (Method::GET, "/status", None, 200),
        (Method::GET, "/nothing", None, 404),
        (Method::GET, "/session", None, 405),
        (Method::PUT, "/status", None, 405),
        (Method::OPTIONS, "/session", None, 405),
        (Method::POST, "/session", Some("{"), 400),
        (Method::POST, "/session", Some("{}"), 400),
        (Method::POST, "/session", Some(unmatched.as_str()), 500),
        (Method::GET, unknown.as_str(), None, 405),
        (Method::DELETE, unknown.as_str(), None, 404),
        (Method::GET, "/session/no-uuid/url", None, 404),
    ] {
        let outcome = fixture.send_text(method.clone(), path, body.map(ToOwned::to_owned)).await;
        let outcome = outcome.and_then(|reply| has_status(&reply, status));
        rows.row(format!("{method} {path}"), outcome);
    }
    rows.done()
}

fn has_status(reply: &Reply, status: u16) -> Result<()> {
    ensure!(
        reply.status == status,
        "{} {}, not {status}",
        reply.status,
        shortened(&reply.body.to_string())
    );
    Ok(())
}

async fn of_browser(fixture: &Fixture) -> Result<()> {
    let session = fixture.shared().await?;
    let mut rows = Rows::default();
    let script = json!({"script": "return 'ä\u{1F600}'", "args": []});
    let nothing = json!({"using": "css selector", "value": "#nothing"});
    for (method, rest, body, status) in [
        (Method::GET, "/url", None, 200),
        (Method::GET, "/window", None, 200),
        (Method::GET, "/source", None, 200),
        (Method::GET, "/screenshot", None, 200),
        (Method::POST, "/execute/sync", Some(&script), 200),
        (Method::POST, "/element", Some(&nothing), 404),
        (Method::GET, "/cookie/nothing", None, 404),
        (Method::GET, "/alert/text", None, 404),
        (Method::GET, "/element/nothing/text", None, 404),
        (Method::POST, "/url", Some(&json!({})), 400),
        (Method::GET, "/nothing", None, 404),
        (Method::GET, "/goog/nothing", None, 404),
        (Method::GET, "/moz/nothing", None, 404),
        (Method::DELETE, "/url", None, 405),
        (Method::PUT, "/url", None, 405),
    ] {
        let outcome = fixture.send(method.clone(), &session.path(rest), body).await;
        let outcome = outcome.and_then(|reply| has_status(&reply, status));
        rows.row(format!("{method} {rest}"), outcome);
    }
    rows.done()
}

async fn null(fixture: &Fixture) -> Result<()> {
    let session = fixture.plain_alone().await?;
    let mut rows = Rows::default();
    for (method, rest, body) in [
        (Method::POST, "/url", Some(json!({"url": fixture.page("/")}))),
        (Method::POST, "/refresh", Some(json!({}))),
        (Method::POST, "/back", Some(json!({}))),
        (Method::POST, "/forward", Some(json!({}))),
        (Method::POST, "/timeouts", Some(json!({"implicit": 0}))),
        (Method::POST, "/frame", Some(json!({"id": null}))),
        (Method::POST, "/frame/parent", Some(json!({}))),
        (Method::POST, "/execute/sync", Some(json!({"script": "return null", "args": []}))),
        (Method::POST, "/execute/sync", Some(json!({"script": "", "args": []}))),
        (Method::POST, "/actions", Some(json!({"actions": []}))),
        (Method::DELETE, "/actions", None),
        (Method::DELETE, "/cookie", None),
        (Method::DELETE, "/cookie/nothing", None),
    ] {
        let outcome = fixture.value(method.clone(), &session.path(rest), body.as_ref()).await;
        let outcome = outcome.and_then(|value| {
            ensure!(value.is_null(), "{value}");
            Ok(())
        });
        rows.row(format!("{method} {rest}"), outcome);
    }
    rows.done()
}

/// A client that sees `status` or `sessionId` beside `value` takes the server for one from before the standard.
async fn value_only(fixture: &Fixture) -> Result<()> {
    let session = fixture.plain().await?;
    for path in ["/status".to_owned(), session.path("/url"), session.path("/timeouts")] {
        let reply = fixture.client.send(Method::GET, &path, None).await?;
        let keys: Vec<&String> = reply.body.as_object().context("an object")?.keys().collect();
        ensure!(keys == ["value"], "{path}: {keys:?}");
    }
    Ok(())
}
