//! Whether a cycle ended as it must. Pure.

use std::{collections::BTreeSet, time::Duration};

use crds::{Phase, Reason};
use tokio::time::Instant;

use super::{
    expected_reasons::{Done, Facts, reasons},
    history::SessionHistory,
    journal::Evidence,
    outage::{Component, Outage},
    plan::{Action, End, Fault, Origin, Plan},
};
use crate::namespace::check_end;

/// A client may be refused this long before the watch shows it.
const WATCH_LAG: Duration = Duration::from_secs(10);
/// Tolerance between what a client sees and what was done.
const TOLERANCE: Duration = Duration::from_secs(1);
/// Times in objects are truncated to seconds.
const TRUNCATION: Duration = Duration::from_secs(1);
/// How long after the end an Event may still be on its way: a controller that is killed takes along what it has not written.
const EVENT_LAG: Duration = Duration::from_secs(5);

pub struct Case<'a> {
    pub plan: &'a Plan,
    pub evidence: &'a Evidence,
    pub history: Option<&'a SessionHistory>,
    pub outages: &'a [Outage],
}

impl Case<'_> {
    #[must_use]
    pub fn expected(&self) -> Vec<Reason> {
        self.history.map(|history| reasons(&self.facts(history))).unwrap_or_default()
    }

    fn facts(&self, history: &SessionHistory) -> Facts {
        let over = history.over().unwrap_or_else(Instant::now);
        let done = self.evidence.actions.iter().map(|(at, action)| Done {
            action: *action,
            unseen: self.is_away(Component::Controller, None, *at, over),
        });
        let needed_until = match (self.evidence.answered, self.evidence.left) {
            (Some(_), _) if self.plan.origin == Origin::Bidi => over,
            // What a gateway does about a client that left it does a moment later.
            (answered, left) => answered.or(left.map(|left| left + TOLERANCE)).unwrap_or(over),
        };
        Facts {
            origin: self.plan.origin,
            done: done.collect(),
            answered: self.evidence.answered.is_some(),
            marked_abandoned: history.is_marked_abandoned(),
            ready_in_time: history.ready.is_some_and(|ready| {
                self.evidence.left.is_none_or(|left| ready <= left + TOLERANCE)
            }),
            gateway_lost: self.evidence.gateway.as_ref().is_some_and(|(pod, since)| {
                self.is_away(Component::Gateway, Some(pod), *since, needed_until)
            }),
            hard_limit: self.plan.action == Action::End(End::HardTimeout),
            limit_unseen: match self.plan.action {
                Action::End(end @ (End::HardTimeout | End::NeverConnected)) => {
                    self.is_away(Component::Controller, None, history.created, over).then_some(end)
                }
                _ => None,
            },
        }
    }

    fn is_away(
        &self,
        component: Component,
        pod: Option<&String>,
        from: Instant,
        to: Instant,
    ) -> bool {
        let is_it = |outage: &&Outage| {
            outage.component == component && pod.is_none_or(|pod| *pod == outage.pod)
        };
        self.outages.iter().filter(is_it).any(|outage| outage.overlaps(from, to))
    }

    #[must_use]
    pub fn wrong(&self, expected: &[Reason], told: Option<&BTreeSet<String>>) -> Vec<String> {
        let mut wrong = Vec::new();
        let Some(history) = self.history else {
            wrong.extend(self.no_session());
            return wrong;
        };
        wrong.extend(history.wrong.iter().cloned());
        let word = history.reason();
        let reason = word.as_deref().and_then(Reason::parse);
        match (reason, &word) {
            (Some(reason), _) if expected.contains(&reason) => {}
            (_, Some(word)) => wrong.push(format!("it ended for {word}, not for {expected:?}")),
            (_, None) => wrong.push(format!("it goes on; it should have ended for {expected:?}")),
        }
        if let Some(reason) = reason.filter(|_| history.ended.is_some()) {
            let checked = check_end(&history.object, phase(reason), reason);
            wrong.extend(checked.err().map(|error| format!("its record: {error:#}")));
            wrong.extend(self.events(history, reason, told));
        }
        let is_right = |heard: &String| {
            let is_late = heard == Reason::PodDeleted.as_str() && self.is_told_late(history);
            let mut expected = expected.iter();
            is_late
                || Some(heard) == word.as_ref()
                || expected.any(|reason| reason.as_str() == heard)
        };
        let heard = self.evidence.told_reasons.iter().filter(|heard| !is_right(heard));
        wrong.extend(heard.map(|heard| format!("a client heard {heard}; it ended for {word:?}")));
        wrong.extend(self.broke(history));
        wrong.extend(self.kept_too_short(history));
        wrong
    }

    /// Whether an agent that was told to stop could not wait for the controller to say why: it knows of no evictions.
    fn is_told_late(&self, history: &SessionHistory) -> bool {
        let evicted = self
            .evidence
            .actions
            .iter()
            .filter(|(_, action)| *action == Action::Fault(Fault::Eviction));
        evicted.into_iter().any(|(at, _)| history.over().is_none_or(|over| over > *at + TOLERANCE))
    }

    /// To have no session is right where the client left at once, or no gateway was there.
    fn no_session(&self) -> Option<String> {
        let left = self.evidence.left.unwrap_or_else(Instant::now);
        let after_client_left =
            self.evidence.actions.iter().any(|(_, action)| *action == Action::End(End::GaveUp));
        let lost = self.evidence.gateway.as_ref().is_some_and(|(pod, since)| {
            self.is_away(Component::Gateway, Some(pod), *since, left + TOLERANCE)
        });
        (!after_client_left && !lost)
            .then(|| format!("no session came of it: {:?}", self.evidence.failures))
    }

    /// Events may be lost with their controller, but never say something else.
    fn events(
        &self,
        history: &SessionHistory,
        reason: Reason,
        told: Option<&BTreeSet<String>>,
    ) -> Vec<String> {
        let mut wrong = Vec::new();
        let nothing = BTreeSet::new();
        let told = told.unwrap_or(&nothing);
        let others = told.iter().filter(|word| *word != reason.as_str() && is_last(word));
        wrong.extend(others.map(|word| format!("an Event says {word}, the condition {reason}")));
        let may_be_lost = history.over().is_some_and(|at| {
            self.is_away(Component::Controller, None, at - TOLERANCE, at + EVENT_LAG)
        });
        if !told.contains(reason.as_str()) && !may_be_lost {
            wrong.push(format!("no Event says {reason}: {told:?}"));
        }
        wrong
    }

    /// Every failure of a client must have a cause.
    fn broke(&self, history: &SessionHistory) -> Vec<String> {
        let broke = self.evidence.failures.iter().filter(|(at, _)| {
            let done = self.evidence.actions.iter().any(|(action, _)| action <= at);
            let over = history.over().is_some_and(|over| over <= *at + WATCH_LAG);
            let away = self.is_away(Component::Gateway, None, *at - TOLERANCE, *at + TOLERANCE);
            // It may strike before the client thinks of it, and the record come late.
            let limited = self.plan.action == Action::End(End::HardTimeout)
                && self.is_away(Component::Controller, None, *at - TOLERANCE, *at + WATCH_LAG);
            !(done || over || away || limited)
        });
        broke.map(|(_, what)| format!("without a cause: {what}")).collect()
    }

    fn kept_too_short(&self, history: &SessionHistory) -> Option<String> {
        let ttl = Duration::from_secs(self.plan.ttl?.into());
        let (ended, _) = history.ended.as_ref()?;
        let evidence = history.gone?.duration_since(*ended);
        (evidence + TRUNCATION + TOLERANCE < ttl)
            .then(|| format!("its record stayed for {evidence:?}, not {ttl:?}"))
    }
}

/// Whether a reason is a terminal one.
fn is_last(word: &str) -> bool {
    !matches!(
        Reason::parse(word),
        Some(
            Reason::BrowserReady
                | Reason::Starting
                | Reason::CapacityReached
                | Reason::NamespaceCeilingReached
                | Reason::QuotaExceeded
                | Reason::PodRefused
                | Reason::NetworkPolicyConflict
                | Reason::Unschedulable
                | Reason::ImageUnavailable
                | Reason::ContainerUnavailable
        )
    )
}

/// The phase of an end for that reason.
fn phase(reason: Reason) -> Phase {
    match reason {
        Reason::ClientEnded
        | Reason::Deleted
        | Reason::Released
        | Reason::ClientGaveUp
        | Reason::Disconnected => Phase::Completed,
        Reason::TimedOut | Reason::IdleTimeout | Reason::NeverConnected => Phase::TimedOut,
        _ => Phase::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soak::plan::Browser;
    use crds::BrowserSession;
    use serde_json::json;

    struct Given {
        zero: Instant,
        plan: Plan,
        evidence: Evidence,
        history: Option<SessionHistory>,
        outages: Vec<Outage>,
        told: BTreeSet<String>,
    }

    impl Given {
        fn at(&self, seconds: u64) -> Instant {
            self.zero + Duration::from_secs(seconds)
        }

        fn wrong(&self) -> String {
            let Self { plan, evidence, history, outages, told, .. } = self;
            let case = Case { plan, evidence, history: history.as_ref(), outages };
            case.wrong(&case.expected(), Some(told)).join("; ")
        }

        fn away(&mut self, component: Component, from: u64, to: u64) {
            let (from, to) = (self.at(from), Some(self.at(to)));
            self.outages.push(Outage { component, pod: "gateway-uid".to_owned(), from, to });
        }
    }

    fn session(reason: Reason) -> BrowserSession {
        let condition = |type_: &str, status: &str| {
            json!({
                "type": type_, "status": status, "reason": reason.as_str(), "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            })
        };
        let finished = condition("Finished", "True");
        let conditions = match phase(reason) {
            Phase::Failed => {
                vec![condition("Ready", "False"), condition("Stalled", "True"), finished]
            }
            _ => vec![finished],
        };
        serde_json::from_value(json!({
            "apiVersion": "browser-operator.io/v1alpha1", "kind": "BrowserSession",
            "metadata": {"name": "s", "uid": "u", "generation": 1}, "spec": {},
            "status": {
                "phase": phase(reason), "endedAt": "2026-01-01T00:00:10Z", "observedGeneration": 1,
                "conditions": conditions,
            },
        }))
        .unwrap()
    }

    /// A session of the Classic road to which that was done after five seconds, and which ended after ten.
    fn given(action: Action, reason: Reason) -> Given {
        let zero = Instant::now();
        let at = |seconds| zero + Duration::from_secs(seconds);
        let plan = Plan {
            number: 1,
            origin: Origin::Classic,
            browser: Browser::Echo,
            bidi: true,
            action,
            early: false,
            commands: 1,
            delay: Duration::ZERO,
            expose: false,
            ttl: None,
            keep: false,
        };
        let evidence = Evidence {
            session: Some("u".to_owned()),
            actions: vec![(at(5), action)],
            gateway: Some(("gateway-uid".to_owned(), at(0))),
            answered: Some(at(1)),
            ..Evidence::default()
        };
        let told = ["BrowserReady".to_owned(), reason.to_string()].into();
        let history = Some(SessionHistory::new(session(reason), at(10)));
        Given { zero, plan, evidence, history, outages: vec![], told }
    }

    const DELETE: Action = Action::End(End::Delete);

    #[test]
    fn what_is_as_it_must_be_is_not_wrong() {
        for (action, reason) in [
            (DELETE, Reason::ClientEnded),
            (Action::End(End::IdleTimeout), Reason::IdleTimeout),
            (Action::Fault(Fault::Driver), Reason::DriverCrashed),
        ] {
            assert_eq!(given(action, reason).wrong(), "", "{action}");
        }
    }

    #[test]
    fn another_reason_is_wrong_in_the_record_the_event_and_the_answer() {
        let wrong = given(Action::Fault(Fault::Driver), Reason::BrowserCrashed).wrong();
        assert_eq!(wrong, "it ended for BrowserCrashed, not for [DriverCrashed]");
        let mut event = given(DELETE, Reason::ClientEnded);
        event.told.insert("AgentLost".to_owned());
        assert_eq!(event.wrong(), "an Event says AgentLost, the condition ClientEnded");
        let mut heard = given(DELETE, Reason::ClientEnded);
        heard.evidence.told_reasons.push("TimedOut".to_owned());
        assert!(heard.wrong().starts_with("a client heard TimedOut"), "{}", heard.wrong());
    }

    #[test]
    fn an_event_is_missed_unless_its_controller_was_killed() {
        let mut given = given(DELETE, Reason::ClientEnded);
        given.told.remove("ClientEnded");
        assert!(given.wrong().starts_with("no Event says ClientEnded"), "{}", given.wrong());
        given.away(Component::Controller, 12, 20);
        assert_eq!(given.wrong(), "");
    }

    #[test]
    fn a_command_that_fails_has_a_cause() {
        let mut given = given(DELETE, Reason::ClientEnded);
        given.history = Some(SessionHistory::new(session(Reason::ClientEnded), given.at(60)));
        given.evidence.failures.push((given.at(3), "no answer".to_owned()));
        assert_eq!(given.wrong(), "without a cause: no answer");
        given.away(Component::Gateway, 2, 4);
        assert_eq!(given.wrong(), "");
    }

    #[test]
    fn no_session_at_all_has_a_cause() {
        let mut given = given(DELETE, Reason::ClientEnded);
        (given.history, given.evidence.answered) = (None, None);
        given.evidence.left = Some(given.at(2));
        assert!(given.wrong().starts_with("no session came of it"), "{}", given.wrong());
        given.away(Component::Gateway, 1, 4);
        assert_eq!(given.wrong(), "");
    }

    #[test]
    fn what_goes_on_is_wrong() {
        let mut given = given(DELETE, Reason::ClientEnded);
        given.history = Some(SessionHistory::new(BrowserSession::default(), given.at(0)));
        assert_eq!(given.wrong(), "it goes on; it should have ended for [ClientEnded]");
    }
}
