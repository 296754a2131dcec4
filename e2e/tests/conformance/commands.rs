//! The table of endpoints (WebDriver, "Endpoints"): which command has which path and method (A.1).

use anyhow::Result;
use reqwest::Method;
use serde_json::json;

use crate::{
    fixture::{Fixture, UNKNOWN_ID},
    reply::INVALID_SESSION,
    rows::all,
    rule::{Rule, rule},
};

/// Every path below a session, and the methods that commands have there.
const COMMANDS: [(&str, &[&str]); 49] = [
    ("", &["DELETE"]),
    ("/timeouts", &["GET", "POST"]),
    ("/url", &["GET", "POST"]),
    ("/back", &["POST"]),
    ("/forward", &["POST"]),
    ("/refresh", &["POST"]),
    ("/title", &["GET"]),
    ("/window", &["GET", "POST", "DELETE"]),
    ("/window/handles", &["GET"]),
    ("/window/new", &["POST"]),
    ("/frame", &["POST"]),
    ("/frame/parent", &["POST"]),
    ("/window/rect", &["GET", "POST"]),
    ("/window/maximize", &["POST"]),
    ("/window/minimize", &["POST"]),
    ("/window/fullscreen", &["POST"]),
    ("/element/active", &["GET"]),
    ("/element/e/shadow", &["GET"]),
    ("/element", &["POST"]),
    ("/elements", &["POST"]),
    ("/element/e/element", &["POST"]),
    ("/element/e/elements", &["POST"]),
    ("/shadow/s/element", &["POST"]),
    ("/shadow/s/elements", &["POST"]),
    ("/element/e/selected", &["GET"]),
    ("/element/e/attribute/n", &["GET"]),
    ("/element/e/property/n", &["GET"]),
    ("/element/e/css/n", &["GET"]),
    ("/element/e/text", &["GET"]),
    ("/element/e/name", &["GET"]),
    ("/element/e/rect", &["GET"]),
    ("/element/e/enabled", &["GET"]),
    ("/element/e/computedrole", &["GET"]),
    ("/element/e/computedlabel", &["GET"]),
    ("/element/e/click", &["POST"]),
    ("/element/e/clear", &["POST"]),
    ("/element/e/value", &["POST"]),
    ("/source", &["GET"]),
    ("/execute/sync", &["POST"]),
    ("/execute/async", &["POST"]),
    ("/cookie", &["GET", "POST", "DELETE"]),
    ("/cookie/n", &["GET", "DELETE"]),
    ("/actions", &["POST", "DELETE"]),
    ("/alert/dismiss", &["POST"]),
    ("/alert/accept", &["POST"]),
    ("/alert/text", &["GET", "POST"]),
    ("/screenshot", &["GET"]),
    ("/element/e/screenshot", &["GET"]),
    ("/print", &["POST"]),
];
pub fn rules() -> Vec<Rule> {
    vec![
        rule("A.1", "every command is known, and asks for its session", known),
        rule(
            "A.1",
            "a command's path with another method is unknown method, session or not",
            wrong,
        ),
    ]
}

/// A method, the path after the session's id, and that id.
type Row<'a> = (Method, &'static str, &'a str);

async fn refused(fixture: &Fixture, rows: Vec<Row<'_>>, refusal: (u16, &str)) -> Result<()> {
    let name = |(method, rest, id): &Row<'_>| {
        format!("{method} {rest} of {}", if *id == UNKNOWN_ID { "no session" } else { "a session" })
    };
    all(rows, name, async |(method, rest, id)| {
        let body = (*method == Method::POST).then(|| json!({}));
        let path = format!("/session/{id}{rest}");
        fixture.fails(method.clone(), &path, body.as_ref(), refusal).await
    })
    .await
}

async fn known(fixture: &Fixture) -> Result<()> {
    let mut rows = Vec::new();
    for (rest, methods) in COMMANDS {
        for method in methods {
            rows.push((Method::from_bytes(method.as_bytes())?, rest, UNKNOWN_ID));
        }
    }
    refused(fixture, rows, INVALID_SESSION).await
}

async fn wrong(fixture: &Fixture) -> Result<()> {
    let plain = fixture.plain().await?;
    let own = &plain.id;
    let mut rows = Vec::new();
    for (rest, methods) in COMMANDS {
        for method in ["GET", "POST", "DELETE", "PUT", "PATCH", "OPTIONS"] {
            if !methods.contains(&method) {
                let method = Method::from_bytes(method.as_bytes())?;
                rows.push((method.clone(), rest, UNKNOWN_ID));
                rows.push((method, rest, own));
            }
        }
    }
    refused(fixture, rows, (405, "unknown method")).await
}
