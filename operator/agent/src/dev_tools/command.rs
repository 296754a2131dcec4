//! The commands of a client that mean more than their answer. All others pass unread.

use serde::Deserialize;
use serde_json::{Value, json};

/// Ends the browser, and so the session.
pub const QUIT: &str = "Browser.close";
/// What closes pages: a browser whose last page is closed may go.
const CLOSES: [&str; 3] = ["Page.close", "Target.closeTarget", "Target.disposeBrowserContext"];

/// What a command means for its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Nothing.
    Plain,
    /// It may be the end of the browser.
    ClosesPage,
    /// It ends the session.
    Quits,
}

impl Meaning {
    /// By the name of its method.
    pub fn of(method: &str) -> Self {
        match method {
            QUIT => Self::Quits,
            _ if CLOSES.contains(&method) => Self::ClosesPage,
            _ => Self::Plain,
        }
    }
}

#[derive(Deserialize)]
struct Command {
    id: Value,
    method: String,
    #[serde(rename = "sessionId")]
    session: Option<Value>,
}

/// What a message of a socket means, and the answer to one that quits. Reads no more of it than is needed.
pub fn meaning(text: &str) -> (Meaning, String) {
    let plain = (Meaning::Plain, String::new());
    if !text.contains(QUIT) && !CLOSES.iter().any(|name| text.contains(name)) {
        return plain;
    }
    let Ok(Command { id, method, session }) = serde_json::from_str(text) else {
        return plain;
    };
    let mut answer = json!({"id": id, "result": {}});
    if let Some(session) = session {
        answer["sessionId"] = session;
    }
    (Meaning::of(&method), answer.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_what_its_method_says_and_nothing_else() {
        for (text, quits) in [
            (r#"{"id":7,"method":"Browser.close"}"#, r#"{"id":7,"result":{}}"#),
            (
                r#"{"id":8,"method":"Browser.close","params":{},"sessionId":"A"}"#,
                r#"{"id":8,"result":{},"sessionId":"A"}"#,
            ),
        ] {
            assert_eq!(meaning(text), (Meaning::Quits, quits.to_owned()), "{text}");
        }
        for (text, expected) in [
            (r#"{"id":1,"method":"Target.closeTarget","params":{}}"#, Meaning::ClosesPage),
            (r#"{"id":1,"method":"Page.close"}"#, Meaning::ClosesPage),
            (
                r#"{"id":1,"method":"Runtime.evaluate","params":{"a":"Browser.close"}}"#,
                Meaning::Plain,
            ),
            (r#"{"id":1,"method":"Page.closed"}"#, Meaning::Plain),
            (r#"{"method":"Browser.close"}"#, Meaning::Plain),
            ("Browser.close", Meaning::Plain),
            (r#"{"id":1,"method":"Page.enable"}"#, Meaning::Plain),
        ] {
            assert_eq!(meaning(text).0, expected, "{text}");
        }
    }
}
