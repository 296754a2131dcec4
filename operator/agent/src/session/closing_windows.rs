//! Whether the browser is about to exit because a client closed its last window: the driver then ends it without notice,
//! some time after its answer.

use std::{collections::HashMap, time::Duration};

use serde_json::Value;
use tokio::time::Instant;

/// How long a browser may take to exit after a window was closed that may have been its last.
pub const BROWSER_EXIT_TIMEOUT: Duration = Duration::from_secs(3);
/// The same after one that was its last; also how long a command may still take effect whose client has left.
const LAST_WINDOW_EXIT_TIMEOUT: Duration = Duration::from_secs(10);

/// A command that closes a window, and has no answer yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseCommand {
    /// Over the BiDi socket, by its id there.
    Bidi(u64),
    /// WebDriver Classic, by a number of its own.
    Classic(u64),
}

/// The windows that clients are closing.
#[derive(Debug, Default)]
pub struct ClosingWindows {
    /// Until when each command may still take effect; `None`: until it is answered.
    commands: HashMap<CloseCommand, Option<Instant>>,
    /// How many Classic commands there were.
    classic_count: u64,
    /// The id of the agent's own `browsingContext.getTree`, while it has no answer.
    tree_query: Option<u64>,
    /// Until when an exit of the browser is explained by its last window.
    exit_expected_until: Option<Instant>,
}

impl ClosingWindows {
    /// A client's command closes a window.
    pub fn start(&mut self, command: CloseCommand, now: Instant) {
        // Some are never answered.
        self.commands.retain(|_, until| until.is_none_or(|until| now < until));
        self.commands.insert(command, None);
    }

    /// The same over Classic, which numbers its commands.
    pub fn start_classic(&mut self, now: Instant) -> CloseCommand {
        self.classic_count += 1;
        let command = CloseCommand::Classic(self.classic_count);
        self.start(command, now);
        command
    }

    /// A client closes a window by a command whose answer does not say what is left.
    pub fn may_close_last(&mut self, now: Instant) {
        self.exit_expected_until = self.exit_expected_until.max(Some(now + BROWSER_EXIT_TIMEOUT));
    }

    /// The agent sent `browsingContext.getTree` under this id.
    pub fn tree_queried(&mut self, id: u64) {
        self.tree_query = Some(id);
    }

    /// An answer came over the BiDi socket. Returns whether the agent has to ask which windows are left.
    pub fn bidi_answered(&mut self, id: u64, answer: &str, now: Instant) -> bool {
        if self.tree_query == Some(id) {
            self.tree_query = None;
            if is_empty_tree(answer) {
                self.exit_expected_until = Some(now + LAST_WINDOW_EXIT_TIMEOUT);
            }
            return false;
        }
        let is_bidi = |command: &CloseCommand| matches!(command, CloseCommand::Bidi(_));
        self.commands.remove(&CloseCommand::Bidi(id)).is_some()
            && !self.commands.keys().any(is_bidi)
    }

    /// A Classic command was answered, and its answer said which windows are left.
    pub fn finish_classic(&mut self, command: CloseCommand) {
        self.commands.remove(&command);
    }

    /// Nobody waits for a command's answer any more. It may still take effect.
    pub fn abandon(&mut self, command: CloseCommand, now: Instant) {
        if let Some(until) = self.commands.get_mut(&command) {
            *until = Some(now + LAST_WINDOW_EXIT_TIMEOUT);
        }
    }

    /// Whether an exit of the browser now is explained by its last window.
    pub fn explains_exit(&self, now: Instant) -> bool {
        let is_ahead = |until: Instant| now < until;
        self.commands.values().any(|until| until.is_none_or(is_ahead))
            || self.tree_query.is_some()
            || self.exit_expected_until.is_some_and(is_ahead)
    }
}

/// Whether an answer to `browsingContext.getTree` has no context.
fn is_empty_tree(answer: &str) -> bool {
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
        let mut closing = ClosingWindows::default();
        assert!(!closing.explains_exit(now));
        closing.start(CloseCommand::Bidi(1), now);
        closing.start(CloseCommand::Bidi(2), now);
        assert!(closing.explains_exit(now));
        assert!(!closing.bidi_answered(1, CLOSED, now), "the other command is still running");
        assert!(closing.bidi_answered(2, CLOSED, now));
        closing.tree_queried(3);
        assert!(closing.explains_exit(now), "it may go before it can say what is left");
        assert!(!closing.bidi_answered(3, NONE, now));
        assert!(closing.explains_exit(now));
        closing.may_close_last(now);
        assert!(closing.explains_exit(now + BROWSER_EXIT_TIMEOUT), "a browser may take its time");
        assert!(
            !closing.explains_exit(now + LAST_WINDOW_EXIT_TIMEOUT),
            "it stayed without a window"
        );
    }

    #[test]
    fn a_browser_that_has_windows_left_crashes() {
        let now = Instant::now();
        let mut closing = ClosingWindows::default();
        closing.start(CloseCommand::Bidi(1), now);
        assert!(closing.bidi_answered(1, CLOSED, now));
        closing.tree_queried(3);
        closing.bidi_answered(3, SOME, now);
        assert!(!closing.explains_exit(now));
        assert!(!closing.bidi_answered(4, NONE, now), "a client's own question means nothing");
        assert!(!closing.explains_exit(now));
    }

    #[test]
    fn an_answer_over_http_says_what_is_left_and_one_that_is_not_waited_for_does_not() {
        let now = Instant::now();
        let mut closing = ClosingWindows::default();
        closing.start(CloseCommand::Classic(1), now);
        closing.start(CloseCommand::Classic(2), now);
        closing.finish_classic(CloseCommand::Classic(1));
        assert!(closing.explains_exit(now), "the other command is still running");
        closing.finish_classic(CloseCommand::Classic(2));
        assert!(!closing.explains_exit(now));
        closing.start(CloseCommand::Classic(3), now);
        closing.abandon(CloseCommand::Classic(3), now);
        assert!(closing.explains_exit(now));
        assert!(!closing.explains_exit(now + LAST_WINDOW_EXIT_TIMEOUT), "it had windows left");
        closing.start(CloseCommand::Classic(4), now + LAST_WINDOW_EXIT_TIMEOUT);
        assert_eq!(closing.commands.len(), 1, "what is long past is forgotten");
    }
}
