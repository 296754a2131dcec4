//! The commands that come in a driver's own instead of over a socket: chromedriver's `cdp/execute`.

use std::time::Duration;

use http::Method;
use net::{
    body::collect_within,
    forward::{content_length, empty, full},
    request::Incoming,
};
use serde::Deserialize;
use webdriver::error::WebDriverError;

use super::command::{MAX_CARRIED, Meaning};

/// How long a body that is read may take to come.
const READ_TIME: Duration = Duration::from_secs(30);

#[derive(Deserialize)]
struct Execute {
    cmd: String,
}

/// What a command means for its session. `rest` is its path behind the session's id. A body that is too long to be of those
/// that mean something passes unread.
///
/// # Errors
/// The body broke off.
pub async fn meaning(incoming: &mut Incoming, rest: &str) -> Result<Meaning, WebDriverError> {
    if incoming.method != Method::POST
        || !executes(rest)
        || content_length(&incoming.headers).is_none_or(|length| length > MAX_CARRIED)
    {
        return Ok(Meaning::Plain);
    }
    let body = std::mem::replace(&mut incoming.body, empty());
    let bytes = collect_within(body, MAX_CARRIED, READ_TIME)
        .await
        .map_err(|error| WebDriverError::invalid_argument(error.to_string()))?;
    let meaning = of_body(&bytes);
    incoming.body = full(bytes);
    Ok(meaning)
}

/// Whether a path is one of those: under every vendor's name, and by the name that it had before.
fn executes(rest: &str) -> bool {
    matches!(
        rest,
        "/goog/cdp/execute"
            | "/ms/cdp/execute"
            | "/chromium/cdp/execute"
            | "/chromium/send_command"
            | "/chromium/send_command_and_get_result"
    )
}

fn of_body(body: &[u8]) -> Meaning {
    let execute = serde_json::from_slice::<Execute>(body);
    execute.map_or(Meaning::Plain, |execute| Meaning::of(&execute.cmd))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_over_http_is_what_its_body_says() {
        for (body, expected) in [
            (r#"{"cmd":"Browser.close","params":{}}"#, Meaning::Quits),
            (r#"{"params":{},"cmd":"Browser.close"}"#, Meaning::Quits),
            (r#"{"cmd":"Page.close","params":{}}"#, Meaning::ClosesPage),
            (r#"{"cmd":"Browser.closed","params":{}}"#, Meaning::Plain),
            (r#"{"cmd":"Runtime.evaluate","params":{"cmd":"Browser.close"}}"#, Meaning::Plain),
            ("Browser.close", Meaning::Plain),
            ("", Meaning::Plain),
        ] {
            assert_eq!(of_body(body.as_bytes()), expected, "{body}");
        }
    }

    #[test]
    fn every_vendor_has_the_same_path() {
        for (rest, expected) in [
            ("/goog/cdp/execute", true),
            ("/ms/cdp/execute", true),
            ("/chromium/send_command_and_get_result", true),
            ("/goog/cdp", false),
            ("/moz/cdp/execute", false),
            ("/goog/cdp/execute/more", false),
            ("/execute/sync", false),
        ] {
            assert_eq!(executes(rest), expected, "{rest}");
        }
    }
}
