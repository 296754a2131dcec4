//! Status conditions, as kubectl, kstatus and other controllers expect them.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::Reason;

/// `True` while the browser can be driven. This condition is the authority; the phase is a summary. Absent after a good end:
/// nothing is amiss, and nothing can be driven.
pub const READY: &str = "Ready";
/// `True` once the session has failed, or can never become Ready; absent otherwise.
pub const STALLED: &str = "Stalled";
/// `True` once the session has ended, well or not; absent before.
pub const FINISHED: &str = "Finished";

/// The status of an object that no controller has seen yet: whoever reads it knows that more will come, as kstatus does.
pub(crate) fn unseen() -> serde_json::Value {
    serde_json::json!({"conditions": [{
        "type": READY,
        "status": "Unknown",
        "reason": Reason::Pending,
        "message": "no controller has seen this object yet",
        "lastTransitionTime": "1970-01-01T00:00:00Z",
    }]})
}

/// How a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It can still become Ready.
    InProgress,
    /// The browser can be driven.
    Ready,
    /// It has ended as its client or its spec wanted.
    EndedWell,
    /// It has ended because of a fault, or could never run.
    Failed,
}

impl State {
    /// The conditions that it has, and whether each is met. The first says why, to whoever reads only one.
    fn types(self) -> &'static [(&'static str, bool)] {
        match self {
            Self::InProgress => &[(READY, false)],
            Self::Ready => &[(READY, true)],
            Self::EndedWell => &[(FINISHED, true)],
            Self::Failed => &[(READY, false), (STALLED, true), (FINISHED, true)],
        }
    }
}

/// What the controller concluded about a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// How it is.
    pub state: State,
    /// The reason of all conditions.
    pub reason: Reason,
    /// The explanation for people.
    pub message: String,
}

/// The longest message of a condition, in characters; the schema of Condition allows 32768.
const MAX_MESSAGE: usize = 4096;

/// The conditions to publish. A transition time becomes `now` only if the status flipped.
#[must_use]
pub fn conditions(
    previous: &[Condition],
    verdict: &Verdict,
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    let of = |type_: &str, met: bool| {
        let status = if met { "True" } else { "False" };
        Condition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: verdict.reason.as_str().to_owned(),
            message: verdict.message.chars().take(MAX_MESSAGE).collect(),
            observed_generation: generation,
            last_transition_time: previous
                .iter()
                .find(|old| old.type_ == type_ && old.status == status)
                .map_or(Time(now), |old| old.last_transition_time.clone()),
        }
    };
    verdict.state.types().iter().map(|(type_, met)| of(type_, *met)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(state: State) -> Verdict {
        Verdict { state, reason: Reason::BrowserReady, message: String::new() }
    }

    #[test]
    fn a_transition_time_moves_only_when_the_status_flips() {
        let (dawn, noon) = (Timestamp::UNIX_EPOCH, Timestamp::MAX);
        let first = conditions(&[], &verdict(State::Ready), Some(1), dawn);
        let same = conditions(&first, &verdict(State::Ready), Some(2), noon);
        let flipped = conditions(&same, &verdict(State::Failed), Some(2), noon);

        assert_eq!(same[0].last_transition_time, Time(dawn));
        assert_eq!(same[0].observed_generation, Some(2));
        assert_eq!(flipped[0].last_transition_time, Time(noon));
    }

    #[test]
    fn each_state_has_its_conditions_and_a_good_end_is_neither_ready_nor_stalled() {
        let shown = |state| -> Vec<String> {
            conditions(&[], &verdict(state), None, Timestamp::UNIX_EPOCH)
                .into_iter()
                .map(|c| format!("{}={}", c.type_, c.status))
                .collect()
        };
        assert_eq!(shown(State::InProgress), ["Ready=False"]);
        assert_eq!(shown(State::Ready), ["Ready=True"]);
        assert_eq!(shown(State::EndedWell), ["Finished=True"]);
        assert_eq!(shown(State::Failed), ["Ready=False", "Stalled=True", "Finished=True"]);
    }
}
