//! Whether the browser is about to go because a client closed its last window: the driver ends it then, some time after its
//! answer, and without a word.

use std::{collections::HashMap, time::Duration};

use serde_json::Value;
use tokio::time::Instant;

/// How long after a window that may have been its last the browser may take to go.
pub const SOON: Duration = Duration::from_secs(3);
/// The same after one that was, and how long a command does its work whose client has left.
const AFTER_THE_LAST: Duration = Duration::from_secs(10);

/// A command that closes a window, and has no answer yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// Over the socket to the browser, by its id there.
    Bidi(u64),
    /// Over HTTP, by a number of its own.
    Classic(u64),
}

/// What is known of windows that are being closed.
#[derive(Debug, Default)]
pub struct Closing {
    /// How long each may still do its work; `None`: until it is answered.
    commands: HashMap<Command, Option<Instant>>,
    /// How many came over HTTP.
    came: u64,
    /// The hub's own question what is left.
    question: Option<u64>,
    /// As long as a browser that goes has lost its last window.
    until: Option<Instant>,
}

impl Closing {
    /// A client has a window closed, by that command.
    pub fn asked(&mut self, command: Command, now: Instant) {
        // Some are never answered.
        self.commands.retain(|_, until| until.is_none_or(|until| now < until));
        self.commands.insert(command, None);
    }

    /// The same over HTTP; gives the command.
    pub fn asked_over_http(&mut self, now: Instant) -> Command {
        self.came += 1;
        let command = Command::Classic(self.came);
        self.asked(command, now);
        command
    }

    /// A client closes one in a way that has no answer worth waiting for.
    pub fn suspected(&mut self, now: Instant) {
        self.until = self.until.max(Some(now + SOON));
    }

    /// The hub asked what is left, by a command of this id.
    pub fn questioned(&mut self, id: u64) {
        self.question = Some(id);
    }

    /// The browser answered over its socket. Gives whether it is to be asked what is left.
    pub fn answered(&mut self, id: u64, answer: &str, now: Instant) -> bool {
        if self.question == Some(id) {
            self.question = None;
            if nothing_is_left(answer) {
                self.until = Some(now + AFTER_THE_LAST);
            }
            return false;
        }
        let is_bidi = |command: &Command| matches!(command, Command::Bidi(_));
        self.commands.remove(&Command::Bidi(id)).is_some() && !self.commands.keys().any(is_bidi)
    }

    /// A command over HTTP was answered, and its answer said what is left.
    pub fn over(&mut self, command: Command) {
        self.commands.remove(&command);
    }

    /// Nobody waits for a command's answer any more. It may still do its work.
    pub fn left(&mut self, command: Command, now: Instant) {
        if let Some(until) = self.commands.get_mut(&command) {
            *until = Some(now + AFTER_THE_LAST);
        }
    }

    /// Whether a browser that is gone now went because of its last window.
    pub fn is_the_last(&self, now: Instant) -> bool {
        let is_ahead = |until: Instant| now < until;
        self.commands.values().any(|until| until.is_none_or(is_ahead))
            || self.question.is_some()
            || self.until.is_some_and(is_ahead)
    }
}

/// Whether an answer to `browsingContext.getTree` has no context.
fn nothing_is_left(answer: &str) -> bool {
    serde_json::from_str::<Value>(answer)
        .is_ok_and(|answer| answer["result"]["contexts"] == Value::Array(Vec::new()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOSED: &str = r#"{"type":"success","id":1,"result":{}}"#;
    const NONE: &str = r#"{"type":"success","id":3,"result":{"contexts":[]}}"#;
    const SOME: &str = r#"{"type":"success","id":3,"result":{"contexts":[{"context":"a"}]}}"#;

    #[test]
    fn a_browser_that_goes_while_its_last_window_is_closed_did_not_crash() {
        let now = Instant::now();
        let mut closing = Closing::default();
        assert!(!closing.is_the_last(now));
        closing.asked(Command::Bidi(1), now);
        closing.asked(Command::Bidi(2), now);
        assert!(closing.is_the_last(now));
        assert!(!closing.answered(1, CLOSED, now), "the other command is still running");
        assert!(closing.answered(2, CLOSED, now));
        closing.questioned(3);
        assert!(closing.is_the_last(now), "it may go before it can say what is left");
        assert!(!closing.answered(3, NONE, now));
        assert!(closing.is_the_last(now));
        closing.suspected(now);
        assert!(closing.is_the_last(now + SOON), "a browser may take its time");
        assert!(!closing.is_the_last(now + AFTER_THE_LAST), "it stayed without a window");
    }

    #[test]
    fn a_browser_that_has_windows_left_crashes() {
        let now = Instant::now();
        let mut closing = Closing::default();
        closing.asked(Command::Bidi(1), now);
        assert!(closing.answered(1, CLOSED, now));
        closing.questioned(3);
        closing.answered(3, SOME, now);
        assert!(!closing.is_the_last(now));
        assert!(!closing.answered(4, NONE, now), "a client's own question means nothing");
        assert!(!closing.is_the_last(now));
    }

    #[test]
    fn an_answer_over_http_says_what_is_left_and_one_that_is_not_waited_for_does_not() {
        let now = Instant::now();
        let mut closing = Closing::default();
        closing.asked(Command::Classic(1), now);
        closing.asked(Command::Classic(2), now);
        closing.over(Command::Classic(1));
        assert!(closing.is_the_last(now), "the other command is still running");
        closing.over(Command::Classic(2));
        assert!(!closing.is_the_last(now));
        closing.asked(Command::Classic(3), now);
        closing.left(Command::Classic(3), now);
        assert!(closing.is_the_last(now));
        assert!(!closing.is_the_last(now + AFTER_THE_LAST), "it had windows left");
        closing.asked(Command::Classic(4), now + AFTER_THE_LAST);
        assert_eq!(closing.commands.len(), 1, "what is long past is forgotten");
    }
}
