//! The commands of a client that mean more than their answer. All others pass unread.

use serde::Deserialize;
use serde_json::{Value, json};

/// Ends the browser, and so the session.
pub const QUIT: &str = "Browser.close";
/// What closes pages: a browser whose last page is closed may go.
const CLOSES: [&str; 3] = ["Page.close", "Target.closeTarget", "Target.disposeBrowserContext"];

/// The longest command that is looked into where another one carries it, in bytes: one that closes something names no more
/// than that.
pub const MAX_CARRIED: usize = 1024;

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

/// A command of a socket.
#[derive(Deserialize)]
pub struct Command {
    id: Value,
    method: String,
    #[serde(rename = "sessionId")]
    session: Option<Value>,
}

impl Command {
    /// The one that a message is, if that may mean something. Reads no more of it than is needed.
    pub fn read(text: &str) -> Option<Self> {
        let may_mean = text.contains(QUIT) || CLOSES.iter().any(|name| text.contains(name));
        may_mean.then(|| serde_json::from_str(text).ok()).flatten()
    }

    /// What it means.
    pub fn meaning(&self) -> Meaning {
        Meaning::of(&self.method)
    }

    /// The answer that says that it was done.
    pub fn answer(self) -> String {
        let mut answer = json!({"id": self.id, "result": {}});
        if let Some(session) = self.session {
            answer["sessionId"] = session;
        }
        answer.to_string()
    }
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
            let command = Command::read(text).unwrap();
            assert_eq!(command.meaning(), Meaning::Quits, "{text}");
            assert_eq!(command.answer(), quits);
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
            let meaning = Command::read(text).map_or(Meaning::Plain, |command| command.meaning());
            assert_eq!(meaning, expected, "{text}");
        }
    }
}
