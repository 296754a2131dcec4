//! CDP commands that would give pages a proxy of the client's, past the session's routes.

use std::borrow::Cow;

use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Value, json};

const METHOD: &str = "Target.createBrowserContext";
/// Carries a command as text.
const CARRIER: &str = "Target.sendMessageToTarget";
const MEMBERS: [&str; 2] = ["proxyServer", "proxyBypassList"];
/// How often commands are wrapped in each other, at most, and their escapes with them.
const MAX_WRAPPED: usize = 8;
/// What such a command is told.
pub const WORDS: &str = "Target.createBrowserContext: proxyServer and proxyBypassList are not available: where requests go is for spec.proxy \
                         and the capability proxy to say";

/// The answer to a message that has such a command. A message is refused unless it is certain that it has none: Chrome reads
/// more than JSON.
pub fn refusal(message: &str) -> Option<String> {
    if !is_suspect(message) {
        return None;
    }
    let is_other = serde_json::from_str::<Envelope>(message)
        .is_ok_and(|envelope| !is_refused(&envelope.method));
    if is_other {
        return None;
    }
    let asked: Value = serde_json::from_str(message).unwrap_or_default();
    let mut answer = json!({"id": asked["id"], "error": {"code": -32000, "message": WORDS}});
    if let Some(session) = asked.get("sessionId") {
        answer["sessionId"] = session.clone();
    }
    Some(answer.to_string())
}

/// Whether a method of CDP is one that a suspect message must not have.
pub fn is_refused(method: &str) -> bool {
    [METHOD, CARRIER].contains(&method)
}

/// Whether a message has the words for it, however they are written.
pub fn is_suspect(message: &str) -> bool {
    let (_, name) = METHOD.split_once('.').unwrap_or_default();
    let has_words =
        |text: &str| text.contains(name) && MEMBERS.iter().any(|member| text.contains(member));
    let mut text = Cow::Borrowed(message);
    for _ in 0..MAX_WRAPPED {
        if has_words(&text) {
            return true;
        }
        match unescaped(&text) {
            Some(plain) => text = Cow::Owned(plain),
            None => return false,
        }
    }
    true
}

/// The text with its escapes of ASCII resolved; `None`: it has none.
fn unescaped(text: &str) -> Option<String> {
    // Most messages have none: they are not copied.
    if !text.contains("\\u") {
        return None;
    }
    let mut parts = text.split("\\u");
    let mut plain = parts.next()?.to_owned();
    let mut found = false;
    for part in parts {
        let code = part.get(..4).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match code.filter(u8::is_ascii_graphic) {
            Some(code) => {
                found = true;
                // Of a text within a text each escape has more of them.
                while plain.ends_with('\\') {
                    plain.pop();
                }
                plain.push(char::from(code));
                plain.push_str(&part[4..]);
            }
            None => {
                plain.push_str("\\u");
                plain.push_str(part);
            }
        }
    }
    found.then_some(plain)
}

/// Without a member twice, of which nobody knows which one counts.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    method: Cow<'a, str>,
    #[expect(dead_code, reason = "there must be one at most")]
    params: Option<IgnoredAny>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_of_the_clients_is_refused_however_it_is_written() {
        for message in [
            r#"{"id":1,"method":"Target.createBrowserContext","params":{"proxyServer":"x:1"}}"#,
            r#"{"id":1,"method":"Target.createBrowserContext","params":{"proxyBypassList":"*"}}"#,
            r#"{"id":1,"method":"Target.createBrowserContext","params":{"proxy\u0053erver":"x:1"}}"#,
            r#"{"id":1,"method":"Target.cr\u0065ateBrowserContext","params":{"proxyServer":"x:1"}}"#,
            r#"{"id":1,"method":"Page.enable","method":"Target.createBrowserContext","params":{"proxyServer":"x:1"}}"#,
            r#"{"id":1,/* */"method":"Target.createBrowserContext","params":{"proxyServer":"x:1"}}"#,
            r#"{"id":1,"method":"Target.sendMessageToTarget","params":{"message":"{\"id\":1,\"method\":\"Target.createBrowserContext\",\"params\":{\"proxyServer\":\"x\"}}"}}"#,
            r#"{"id":1,"method":"Target.sendMessageToTarget","params":{"message":"{\"id\":1,\"method\":\"Target.createBrowserContext\",\"params\":{\"proxy\\u0053erver\":\"x\"}}"}}"#,
        ] {
            assert!(
                refusal(message).is_some_and(|answer| answer.contains("spec.proxy")),
                "{message}"
            );
        }
        let answer = refusal(
            r#"{"id":7,"sessionId":"A","method":"Target.createBrowserContext","params":{"proxyServer":"x"}}"#,
        );
        let answer: Value = serde_json::from_str(&answer.unwrap()).unwrap();
        assert_eq!((&answer["id"], &answer["sessionId"]), (&json!(7), &json!("A")));
    }

    #[test]
    fn what_only_speaks_of_it_passes() {
        for message in [
            r#"{"id":1,"method":"Target.createBrowserContext","params":{}}"#,
            r#"{"id":1,"method":"Target.createBrowserContext","params":{"disposeOnDetach":true}}"#,
            r#"{"id":1,"method":"Runtime.evaluate","params":{"expression":"createBrowserContext proxyServer"}}"#,
            r#"{"id":1,"method":"Runtime.evaluate","params":{"expression":"\u00e4\u0001 proxyServer"}}"#,
            r#"{"id":1,"method":"Page.enable"}"#,
        ] {
            assert_eq!(refusal(message), None, "{message}");
        }
    }
}
