//! Whether a cycle ended as it must have. Pure.

use std::{collections::BTreeSet, time::Duration};

use crds::{Phase, Reason};
use tokio::time::Instant;

use super::{
    fits::{Done, Facts, fitting},
    life::Life,
    outage::{Component, Outage},
    plan::{Birth, Deed, End, Harm, Plan},
    record::Kept,
};
use crate::namespace::check_end;

/// How long a client that is refused may be earlier than the watch.
const SOON: Duration = Duration::from_secs(10);
/// How far what a client sees and what is done may be apart.
const MOMENT: Duration = Duration::from_secs(1);
/// What is cut off an instant in an object.
const SECOND: Duration = Duration::from_secs(1);
/// How long after the end an Event may still be on its way: a controller that is killed takes along what it has not written.
const EVENT: Duration = Duration::from_secs(5);

/// A cycle, as far as it is judged.
pub struct Case<'a> {
    /// What it was to do.
    pub plan: &'a Plan,
    /// What was done.
    pub kept: &'a Kept,
    /// What became of its session.
    pub life: Option<&'a Life>,
    /// When what was away.
    pub outages: &'a [Outage],
}

impl Case<'_> {
    /// The reasons that fit.
    #[must_use]
    pub fn fitting(&self) -> Vec<Reason> {
        self.life.map(|life| fitting(&self.facts(life))).unwrap_or_default()
    }

    fn facts(&self, life: &Life) -> Facts {
        let over = life.over().unwrap_or_else(Instant::now);
        let done = self.kept.deeds.iter().map(|(at, deed)| Done {
            deed: *deed,
            unseen: self.is_away(Component::Controller, None, *at, over),
        });
        let needed_until = match (self.kept.answered, self.kept.left) {
            (Some(_), _) if self.plan.birth == Birth::Bidi => over,
            // What a gateway does about a client that left it does a moment later.
            (answered, left) => answered.or(left.map(|left| left + MOMENT)).unwrap_or(over),
        };
        Facts {
            birth: self.plan.birth,
            done: done.collect(),
            answered: self.kept.answered.is_some(),
            marked: life.is_marked(),
            ready_in_time: life
                .ready
                .is_some_and(|ready| self.kept.left.is_none_or(|left| ready <= left + MOMENT)),
            gateway_lost: self.kept.gateway.as_ref().is_some_and(|(pod, since)| {
                self.is_away(Component::Gateway, Some(pod), *since, needed_until)
            }),
            hard_limit: self.plan.deed == Deed::End(End::HardTimeout),
            limit_unseen: match self.plan.deed {
                Deed::End(end @ (End::HardTimeout | End::NeverConnected)) => {
                    self.is_away(Component::Controller, None, life.born, over).then_some(end)
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

    /// Everything that is not as it must be.
    #[must_use]
    pub fn wrong(&self, fitting: &[Reason], told: Option<&BTreeSet<String>>) -> Vec<String> {
        let mut wrong = Vec::new();
        let Some(life) = self.life else {
            wrong.extend(self.no_session());
            return wrong;
        };
        wrong.extend(life.wrong.iter().cloned());
        let word = life.reason();
        let reason = word.as_deref().and_then(Reason::parse);
        match (reason, &word) {
            (Some(reason), _) if fitting.contains(&reason) => {}
            (_, Some(word)) => wrong.push(format!("it ended for {word}, not for {fitting:?}")),
            (_, None) => wrong.push(format!("it goes on; it should have ended for {fitting:?}")),
        }
        if let Some(reason) = reason.filter(|_| life.ended.is_some()) {
            let checked = check_end(&life.object, phase(reason), reason);
            wrong.extend(checked.err().map(|error| format!("its record: {error:#}")));
            wrong.extend(self.events(life, reason, told));
        }
        let is_right = |heard: &String| {
            let is_late = heard == Reason::PodDeleted.as_str() && self.is_told_late(life);
            let mut fitting = fitting.iter();
            is_late
                || Some(heard) == word.as_ref()
                || fitting.any(|reason| reason.as_str() == heard)
        };
        let heard = self.kept.heard.iter().filter(|heard| !is_right(heard));
        wrong.extend(heard.map(|heard| format!("a client heard {heard}; it ended for {word:?}")));
        wrong.extend(self.broke(life));
        wrong.extend(self.kept_too_short(life));
        wrong
    }

    /// Whether an agent that was told to stop could not wait for the controller to say why: it knows of no evictions.
    fn is_told_late(&self, life: &Life) -> bool {
        let evicted =
            self.kept.deeds.iter().filter(|(_, deed)| *deed == Deed::Harm(Harm::Eviction));
        evicted.into_iter().any(|(at, _)| life.over().is_none_or(|over| over > *at + MOMENT))
    }

    /// No session is right where its client left at once, or nobody was there to make it.
    fn no_session(&self) -> Option<String> {
        let left = self.kept.left.unwrap_or_else(Instant::now);
        let gave_up = self.kept.deeds.iter().any(|(_, deed)| *deed == Deed::End(End::GaveUp));
        let lost = self.kept.gateway.as_ref().is_some_and(|(pod, since)| {
            self.is_away(Component::Gateway, Some(pod), *since, left + MOMENT)
        });
        (!gave_up && !lost).then(|| format!("no session came of it: {:?}", self.kept.broke))
    }

    /// Events may be lost with their controller, but never say something else.
    fn events(&self, life: &Life, reason: Reason, told: Option<&BTreeSet<String>>) -> Vec<String> {
        let mut wrong = Vec::new();
        let nothing = BTreeSet::new();
        let told = told.unwrap_or(&nothing);
        let others = told.iter().filter(|word| *word != reason.as_str() && is_last(word));
        wrong.extend(others.map(|word| format!("an Event says {word}, the condition {reason}")));
        let may_be_lost = life
            .over()
            .is_some_and(|at| self.is_away(Component::Controller, None, at - MOMENT, at + EVENT));
        if !told.contains(reason.as_str()) && !may_be_lost {
            wrong.push(format!("no Event says {reason}: {told:?}"));
        }
        wrong
    }

    /// What did not work for a client must have had its cause.
    fn broke(&self, life: &Life) -> Vec<String> {
        let broke = self.kept.broke.iter().filter(|(at, _)| {
            let done = self.kept.deeds.iter().any(|(deed, _)| deed <= at);
            let over = life.over().is_some_and(|over| over <= *at + SOON);
            let away = self.is_away(Component::Gateway, None, *at - MOMENT, *at + MOMENT);
            // It may strike before the client thinks of it, and the record come late.
            let limited = self.plan.deed == Deed::End(End::HardTimeout)
                && self.is_away(Component::Controller, None, *at - MOMENT, *at + SOON);
            !(done || over || away || limited)
        });
        broke.map(|(_, what)| format!("without a cause: {what}")).collect()
    }

    fn kept_too_short(&self, life: &Life) -> Option<String> {
        let ttl = Duration::from_secs(self.plan.ttl?.into());
        let (ended, _) = life.ended.as_ref()?;
        let kept = life.gone?.duration_since(*ended);
        (kept + SECOND + MOMENT < ttl)
            .then(|| format!("its record stayed for {kept:?}, not {ttl:?}"))
    }
}

/// Whether a word can only be said at the end.
fn is_last(word: &str) -> bool {
    !matches!(
        Reason::parse(word),
        Some(
            Reason::BrowserReady
                | Reason::Starting
                | Reason::CapacityReached
                | Reason::QuotaExceeded
                | Reason::PodRefused
                | Reason::Unschedulable
                | Reason::ImageUnavailable
                | Reason::ContainerUnavailable
        )
    )
}

/// What an end for that reason is to people.
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
        kept: Kept,
        life: Option<Life>,
        outages: Vec<Outage>,
        told: BTreeSet<String>,
    }

    impl Given {
        fn at(&self, seconds: u64) -> Instant {
            self.zero + Duration::from_secs(seconds)
        }

        fn wrong(&self) -> String {
            let Self { plan, kept, life, outages, told, .. } = self;
            let case = Case { plan, kept, life: life.as_ref(), outages };
            case.wrong(&case.fitting(), Some(told)).join("; ")
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
        serde_json::from_value(json!({
            "apiVersion": "browser-operator.io/v1alpha1", "kind": "BrowserSession",
            "metadata": {"name": "s", "uid": "u", "generation": 1}, "spec": {},
            "status": {
                "phase": phase(reason), "endedAt": "2026-01-01T00:00:10Z", "observedGeneration": 1,
                "conditions": [condition("Ready", "False"), condition("Stalled", "True")],
            },
        }))
        .unwrap()
    }

    /// A session of the Classic road to which that was done after five seconds, and which ended after ten.
    fn given(deed: Deed, reason: Reason) -> Given {
        let zero = Instant::now();
        let at = |seconds| zero + Duration::from_secs(seconds);
        let plan = Plan {
            number: 1,
            birth: Birth::Classic,
            browser: Browser::Echo,
            bidi: true,
            deed,
            early: false,
            commands: 1,
            patience: Duration::ZERO,
            expose: false,
            ttl: None,
            keep: false,
        };
        let kept = Kept {
            session: Some("u".to_owned()),
            deeds: vec![(at(5), deed)],
            gateway: Some(("gateway-uid".to_owned(), at(0))),
            answered: Some(at(1)),
            ..Kept::default()
        };
        let told = ["BrowserReady".to_owned(), reason.to_string()].into();
        let life = Some(Life::new(session(reason), at(10)));
        Given { zero, plan, kept, life, outages: vec![], told }
    }

    const DELETE: Deed = Deed::End(End::Delete);

    #[test]
    fn what_is_as_it_must_be_is_not_wrong() {
        for (deed, reason) in [
            (DELETE, Reason::ClientEnded),
            (Deed::End(End::IdleTimeout), Reason::IdleTimeout),
            (Deed::Harm(Harm::Driver), Reason::DriverCrashed),
        ] {
            assert_eq!(given(deed, reason).wrong(), "", "{deed}");
        }
    }

    #[test]
    fn another_reason_is_wrong_in_the_record_the_event_and_the_answer() {
        let wrong = given(Deed::Harm(Harm::Driver), Reason::BrowserCrashed).wrong();
        assert_eq!(wrong, "it ended for BrowserCrashed, not for [DriverCrashed]");
        let mut event = given(DELETE, Reason::ClientEnded);
        event.told.insert("AgentLost".to_owned());
        assert_eq!(event.wrong(), "an Event says AgentLost, the condition ClientEnded");
        let mut heard = given(DELETE, Reason::ClientEnded);
        heard.kept.heard.push("TimedOut".to_owned());
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
        given.life = Some(Life::new(session(Reason::ClientEnded), given.at(60)));
        given.kept.broke.push((given.at(3), "no answer".to_owned()));
        assert_eq!(given.wrong(), "without a cause: no answer");
        given.away(Component::Gateway, 2, 4);
        assert_eq!(given.wrong(), "");
    }

    #[test]
    fn no_session_at_all_has_a_cause() {
        let mut given = given(DELETE, Reason::ClientEnded);
        (given.life, given.kept.answered) = (None, None);
        given.kept.left = Some(given.at(2));
        assert!(given.wrong().starts_with("no session came of it"), "{}", given.wrong());
        given.away(Component::Gateway, 1, 4);
        assert_eq!(given.wrong(), "");
    }

    #[test]
    fn what_goes_on_is_wrong() {
        let mut given = given(DELETE, Reason::ClientEnded);
        given.life = Some(Life::new(BrowserSession::default(), given.at(0)));
        assert_eq!(given.wrong(), "it goes on; it should have ended for [ClientEnded]");
    }
}
