//! CDP commands that a WebDriver command wraps: chromedriver's `cdp/execute`.

use std::time::Duration;

use http::Method;
use net::{
    body::{self, collect_within, content_length, empty, full},
    request::IncomingRequest,
};
use serde::Deserialize;

use super::command::{CommandEffect, MAX_WRAPPED_COMMAND};

/// How long a body that is read may take to come.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Deserialize)]
struct Execute {
    cmd: String,
}

/// What a WebDriver command does to the session. `rest` is its path behind the session's id. A body that is too long to have an
/// effect passes unread.
pub async fn effect(
    incoming: &mut IncomingRequest,
    rest: &str,
) -> Result<CommandEffect, body::Error> {
    if incoming.method != Method::POST
        || !is_cdp_execute(rest)
        || content_length(&incoming.headers).is_none_or(|length| length > MAX_WRAPPED_COMMAND)
    {
        return Ok(CommandEffect::None);
    }
    let body = std::mem::replace(&mut incoming.body, empty());
    let bytes = collect_within(body, MAX_WRAPPED_COMMAND, BODY_TIMEOUT).await?;
    let effect = effect_of_body(&bytes);
    incoming.body = full(bytes);
    Ok(effect)
}

/// Whether a path is one of `cdp/execute`: under every vendor's name, and its older names.
fn is_cdp_execute(rest: &str) -> bool {
    matches!(
        rest,
        "/goog/cdp/execute"
            | "/ms/cdp/execute"
            | "/chromium/cdp/execute"
            | "/chromium/send_command"
            | "/chromium/send_command_and_get_result"
    )
}

fn effect_of_body(body: &[u8]) -> CommandEffect {
    let execute = serde_json::from_slice::<Execute>(body);
    execute.map_or(CommandEffect::None, |execute| CommandEffect::of(&execute.cmd))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_over_http_is_what_its_body_says() {
        for (body, expected) in [
            (r#"{"cmd":"Browser.close","params":{}}"#, CommandEffect::ClosesBrowser),
            (r#"{"params":{},"cmd":"Browser.close"}"#, CommandEffect::ClosesBrowser),
            (r#"{"cmd":"Page.close","params":{}}"#, CommandEffect::ClosesPage),
            (r#"{"cmd":"Browser.closed","params":{}}"#, CommandEffect::None),
            (r#"{"cmd":"Runtime.evaluate","params":{"cmd":"Browser.close"}}"#, CommandEffect::None),
            ("Browser.close", CommandEffect::None),
            ("", CommandEffect::None),
        ] {
            assert_eq!(effect_of_body(body.as_bytes()), expected, "{body}");
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
            assert_eq!(is_cdp_execute(rest), expected, "{rest}");
        }
    }
}
