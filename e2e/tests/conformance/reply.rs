//! What replies must be.

use anyhow::{Context, Result, ensure};
use e2e::Reply;
use serde_json::Value;

pub const INVALID_ARGUMENT: (u16, &str) = (400, "invalid argument");
pub const NOT_CREATED: (u16, &str) = (500, "session not created");
pub const INVALID_SESSION: (u16, &str) = (404, "invalid session id");

/// Checks that a reply has this status and error code.
pub fn expect(reply: &Reply, refusal: (u16, &str)) -> Result<()> {
    let seen = (reply.status, reply.error());
    // A browser's stack trace would only be in the way.
    ensure!(seen == refusal, "{seen:?} {}, not {refusal:?}", shortened(reply.message()));
    Ok(())
}

pub fn shortened(text: &str) -> String {
    text.chars().take(200).collect()
}

/// Checks what every reply must have: `send a response` and `send an error`, to the letter.
pub fn check_envelope(reply: &Reply) -> Result<()> {
    for (name, text) in
        [("content-type", "application/json; charset=utf-8"), ("cache-control", "no-cache")]
    {
        let values: Vec<_> = reply.headers.get_all(name).iter().collect();
        ensure!(values == [text], "{name} is {values:?}");
    }
    let object = reply.body.as_object().context("the body is no object")?;
    ensure!(object.len() == 1 && object.contains_key("value"), "the body is no envelope");
    if reply.status == 200 {
        return Ok(());
    }
    let error = reply.body["value"].as_object().context("an error is an object")?;
    for key in ["error", "message", "stacktrace"] {
        ensure!(error.get(key).is_some_and(Value::is_string), "{key} is no text");
    }
    ensure!(error.get("data").is_none_or(Value::is_object), "data is no object");
    let known = ["error", "message", "stacktrace", "data"];
    let other = error.keys().find(|key| !known.contains(&key.as_str()));
    ensure!(other.is_none(), "an error has no {other:?}");
    Ok(())
}
