//! Status conditions, as kubectl, kstatus and other controllers expect them.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::Reason;

/// `True` while the browser can be driven. This condition is the authority; the phase is a summary.
pub const READY: &str = "Ready";
/// `True` once the session can never become Ready (again); absent before.
pub const STALLED: &str = "Stalled";

/// What the controller concluded about a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the browser can be driven.
    pub ready: bool,
    /// Whether the session can never become Ready (again).
    pub stalled: bool,
    /// The reason of both conditions.
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
    let mut conditions = vec![of(READY, verdict.ready)];
    if verdict.stalled {
        conditions.push(of(STALLED, true));
    }
    conditions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(ready: bool) -> Verdict {
        Verdict { ready, stalled: !ready, reason: Reason::BrowserReady, message: String::new() }
    }

    #[test]
    fn a_transition_time_moves_only_when_the_status_flips() {
        let (dawn, noon) = (Timestamp::UNIX_EPOCH, Timestamp::MAX);
        let first = conditions(&[], &verdict(true), Some(1), dawn);
        let same = conditions(&first, &verdict(true), Some(2), noon);
        let flipped = conditions(&same, &verdict(false), Some(2), noon);

        assert_eq!(same[0].last_transition_time, Time(dawn));
        assert_eq!(same[0].observed_generation, Some(2));
        assert_eq!(flipped[0].last_transition_time, Time(noon));
    }

    #[test]
    fn stalled_is_present_only_while_it_applies() {
        let now = Timestamp::UNIX_EPOCH;
        let types = |ready| -> Vec<String> {
            conditions(&[], &verdict(ready), None, now).into_iter().map(|c| c.type_).collect()
        };
        assert_eq!(types(true), [READY]);
        assert_eq!(types(false), [READY, STALLED]);
    }
}
