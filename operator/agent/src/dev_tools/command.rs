//! CDP commands that affect the session. All others pass unread.

use serde::Deserialize;
use serde_json::{Value, json};

/// Closes the browser, and so ends the session.
pub const BROWSER_CLOSE: &str = "Browser.close";
/// Commands that close pages: a browser whose last page is closed may exit.
const PAGE_CLOSES: [&str; 3] = ["Page.close", "Target.closeTarget", "Target.disposeBrowserContext"];

/// The longest CDP command that is read where a WebDriver command wraps it, in bytes: one that closes something is shorter.
pub const MAX_WRAPPED_COMMAND: usize = 1024;

/// What a command does to the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandEffect {
    None,
    /// The browser may exit.
    ClosesPage,
    /// The session ends.
    ClosesBrowser,
}

impl CommandEffect {
    /// The effect of a method.
    pub fn of(method: &str) -> Self {
        match method {
            BROWSER_CLOSE => Self::ClosesBrowser,
            _ if PAGE_CLOSES.contains(&method) => Self::ClosesPage,
            _ => Self::None,
        }
    }
}

/// A CDP command, as a client's socket sends it.
#[derive(Deserialize)]
pub struct Command {
    id: Value,
    method: String,
    #[serde(rename = "sessionId")]
    session: Option<Value>,
}

impl Command {
    /// Parses a message that may have an effect. One that cannot is only searched, not parsed.
    pub fn parse(text: &str) -> Option<Self> {
        let may_have_effect =
            text.contains(BROWSER_CLOSE) || PAGE_CLOSES.iter().any(|name| text.contains(name));
        may_have_effect.then(|| serde_json::from_str(text).ok()).flatten()
    }

    pub fn effect(&self) -> CommandEffect {
        CommandEffect::of(&self.method)
    }

    /// The answer of a command that was done.
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
            let command = Command::parse(text).unwrap();
            assert_eq!(command.effect(), CommandEffect::ClosesBrowser, "{text}");
            assert_eq!(command.answer(), quits);
        }
        for (text, expected) in [
            (r#"{"id":1,"method":"Target.closeTarget","params":{}}"#, CommandEffect::ClosesPage),
            (r#"{"id":1,"method":"Page.close"}"#, CommandEffect::ClosesPage),
            (
                r#"{"id":1,"method":"Runtime.evaluate","params":{"a":"Browser.close"}}"#,
                CommandEffect::None,
            ),
            (r#"{"id":1,"method":"Page.closed"}"#, CommandEffect::None),
            (r#"{"method":"Browser.close"}"#, CommandEffect::None),
            ("Browser.close", CommandEffect::None),
            (r#"{"id":1,"method":"Page.enable"}"#, CommandEffect::None),
        ] {
            let effect =
                Command::parse(text).map_or(CommandEffect::None, |command| command.effect());
            assert_eq!(effect, expected, "{text}");
        }
    }
}
