//! Whether the browser is about to go because a client closed its last window: the driver ends it then, some time after its
//! answer, and without a word.

use std::{collections::HashSet, time::Duration};

use serde_json::Value;
use tokio::time::Instant;

/// How long after a window that may have been its last the browser may take to go.
pub const SOON: Duration = Duration::from_secs(3);
/// The same after one that was.
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
    commands: HashSet<Command>,
    /// The hub's own question what is left.
    question: Option<u64>,
    /// As long as a browser that goes has lost its last window.
    until: Option<Instant>,
}

impl Closing {
    /// A client has a window closed, by that command.
    pub fn asked(&mut self, command: Command) {
        self.commands.insert(command);
    }

    /// A client closes one in a way that has no answer worth waiting for.
    pub fn suspected(&mut self, now: Instant) {
        self.until = Some(now + SOON);
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
        self.commands.remove(&Command::Bidi(id)) && !self.commands.iter().any(is_bidi)
    }

    /// A command is over for whoever asked. An answer over HTTP says what is left; a command that nobody waits for may
    /// still do its work.
    pub fn over(&mut self, command: Command, is_answered: bool, now: Instant) {
        if self.commands.remove(&command) && !is_answered {
            self.suspected(now);
        }
    }

    /// Whether a browser that is gone now went because of its last window.
    pub fn is_the_last(&self, now: Instant) -> bool {
        !self.commands.is_empty()
            || self.question.is_some()
            || self.until.is_some_and(|until| now < until)
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
        closing.asked(Command::Bidi(1));
        closing.asked(Command::Bidi(2));
        assert!(closing.is_the_last(now));
        assert!(!closing.answered(1, CLOSED, now), "the other command is still running");
        assert!(closing.answered(2, CLOSED, now));
        closing.questioned(3);
        assert!(closing.is_the_last(now), "it may go before it can say what is left");
        assert!(!closing.answered(3, NONE, now));
        assert!(closing.is_the_last(now));
        assert!(closing.is_the_last(now + SOON), "a browser may take its time");
        assert!(!closing.is_the_last(now + AFTER_THE_LAST), "it stayed without a window");
    }

    #[test]
    fn a_browser_that_has_windows_left_crashes() {
        let now = Instant::now();
        let mut closing = Closing::default();
        closing.asked(Command::Bidi(1));
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
        closing.asked(Command::Classic(1));
        closing.asked(Command::Classic(2));
        closing.over(Command::Classic(1), true, now);
        assert!(closing.is_the_last(now), "the other command is still running");
        closing.over(Command::Classic(2), true, now);
        assert!(!closing.is_the_last(now));
        closing.asked(Command::Classic(3));
        closing.over(Command::Classic(3), false, now);
        assert!(closing.is_the_last(now));
        assert!(!closing.is_the_last(now + SOON), "it had windows left");
    }
}
