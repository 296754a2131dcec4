//! Which end reasons are right after what was done to a session. Pure.

use crds::Reason;

use super::plan::{Action, End, Fault, Origin};

/// An action that was performed.
#[derive(Clone, Copy, Debug)]
pub struct Done {
    pub action: Action,
    /// No controller ran at some time between the action and the end.
    pub unseen: bool,
}

/// What the expected reasons are derived from.
#[derive(Clone, Debug)]
pub struct Facts {
    pub origin: Origin,
    pub done: Vec<Done>,
    /// Its client has got the answer.
    pub answered: bool,
    /// The object has the annotation of a client that left.
    pub marked_abandoned: bool,
    /// It was Ready before its gateway could know that the client had left.
    pub ready_in_time: bool,
    /// Whether the gateway that it was asked for at was away while its client needed it: until the answer, and where the
    /// session lives by that socket, until the end.
    pub gateway_lost: bool,
    /// `timeoutSeconds` ends before `connectTimeoutSeconds`.
    pub hard_limit: bool,
    /// The limit that ends it if nothing else does, where no controller was there for a time before its client had its answer:
    /// the agent counts from its bind, and the controller may have told nobody of that.
    pub limit_unseen: Option<End>,
}

#[must_use]
pub fn reasons(facts: &Facts) -> Vec<Reason> {
    let mut reasons = Vec::new();
    for done in &facts.done {
        match done.action {
            Action::End(End::GaveUp) => reasons.extend(after_client_left(facts)),
            Action::End(end) => reasons.push(after_end(end)),
            Action::Fault(harm) => reasons.push(after_harm(harm)),
        }
        // Who sees no more than that the pod is gone does not know who took it.
        if done.unseen && done.action == Action::Fault(Fault::Eviction) {
            reasons.push(Reason::PodDeleted);
        }
    }
    if !facts.answered {
        reasons.extend(facts.limit_unseen.map(after_end));
    }
    if facts.gateway_lost {
        reasons.extend(without_gateway(facts));
    }
    let mut expected = Vec::new();
    reasons.into_iter().for_each(|reason| {
        if !expected.contains(&reason) {
            expected.push(reason);
        }
    });
    expected
}

fn after_end(end: End) -> Reason {
    match end {
        End::Delete | End::SessionEnds | End::BrowserCloses => Reason::ClientEnded,
        End::KubectlDelete => Reason::Deleted,
        // A word that is no reason means the end all the same.
        End::Annotation(word) => Reason::parse(word).unwrap_or(Reason::ClientEnded),
        End::HardTimeout => Reason::TimedOut,
        End::IdleTimeout => Reason::IdleTimeout,
        End::NeverConnected => Reason::NeverConnected,
        End::SocketClosed | End::SocketDropped => Reason::Disconnected,
        End::GaveUp => Reason::ClientGaveUp,
    }
}

fn after_harm(harm: Fault) -> Reason {
    match harm {
        Fault::Agent => Reason::AgentLost,
        Fault::Browser => Reason::BrowserCrashed,
        Fault::Driver => Reason::DriverCrashed,
        Fault::Pod => Reason::PodDeleted,
        Fault::Eviction => Reason::NodeDrained,
    }
}

/// A client that leaves ends its session, unless the answer was on its way: then nobody connects.
fn after_client_left(facts: &Facts) -> Vec<Reason> {
    match facts.origin {
        _ if facts.answered => vec![without_client(facts.origin)],
        // The gateway holds the session's one socket before it answers: it lets go of both at once.
        Origin::Bidi if facts.marked_abandoned => vec![Reason::ClientGaveUp, Reason::Disconnected],
        _ if facts.marked_abandoned => vec![Reason::ClientGaveUp],
        origin if facts.ready_in_time => vec![without_client(origin)],
        _ => vec![Reason::ClientGaveUp],
    }
}

/// How a session ends whose client has got it and never connects.
fn without_client(origin: Origin) -> Reason {
    match origin {
        Origin::Bidi => Reason::Disconnected,
        Origin::Object | Origin::Classic => Reason::NeverConnected,
    }
}

/// A gateway that dies while it makes a session cannot say that the client left, one that is told to stop can; the session's
/// one socket dies with either.
fn without_gateway(facts: &Facts) -> Vec<Reason> {
    let nobody_comes = if facts.hard_limit { Reason::TimedOut } else { Reason::NeverConnected };
    match (facts.origin, facts.answered) {
        (Origin::Object, _) | (Origin::Classic, true) => vec![],
        (Origin::Bidi, true) => vec![Reason::Disconnected],
        (Origin::Classic, false) if facts.marked_abandoned => vec![Reason::ClientGaveUp],
        (Origin::Classic, false) => vec![nobody_comes],
        (Origin::Bidi, false) if facts.marked_abandoned => {
            vec![Reason::ClientGaveUp, Reason::Disconnected]
        }
        (Origin::Bidi, false) => vec![nobody_comes, Reason::Disconnected],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Reason::{
        AgentLost, BrowserCrashed, ClientEnded, ClientGaveUp, Deleted, Disconnected, DriverCrashed,
        IdleTimeout, NeverConnected, NodeDrained, PodDeleted, Released, TimedOut,
    };

    /// A session that its client got, to which that was done while everybody was there.
    fn facts(origin: Origin, actions: &[Action]) -> Facts {
        let done = actions.iter().map(|action| Done { action: *action, unseen: false }).collect();
        Facts {
            origin,
            done,
            answered: true,
            marked_abandoned: false,
            ready_in_time: true,
            gateway_lost: false,
            hard_limit: false,
            limit_unseen: None,
        }
    }

    #[test]
    fn every_deed_has_its_one_reason() {
        for (action, reason) in [
            (Action::End(End::Delete), ClientEnded),
            (Action::End(End::SessionEnds), ClientEnded),
            (Action::End(End::BrowserCloses), ClientEnded),
            (Action::End(End::KubectlDelete), Deleted),
            (Action::End(End::Annotation("ClientEnded")), ClientEnded),
            (Action::End(End::Annotation("Released")), Released),
            (Action::End(End::Annotation("Enough")), ClientEnded),
            (Action::End(End::HardTimeout), TimedOut),
            (Action::End(End::IdleTimeout), IdleTimeout),
            (Action::End(End::NeverConnected), NeverConnected),
            (Action::End(End::SocketClosed), Disconnected),
            (Action::End(End::SocketDropped), Disconnected),
            (Action::Fault(Fault::Agent), AgentLost),
            (Action::Fault(Fault::Browser), BrowserCrashed),
            (Action::Fault(Fault::Driver), DriverCrashed),
            (Action::Fault(Fault::Pod), PodDeleted),
            (Action::Fault(Fault::Eviction), NodeDrained),
        ] {
            for origin in [Origin::Object, Origin::Classic, Origin::Bidi] {
                assert_eq!(reasons(&facts(origin, &[action])), [reason], "{action} {origin:?}");
            }
        }
    }

    #[test]
    fn only_a_missing_controller_mistakes_an_eviction() {
        for harm in [Fault::Agent, Fault::Browser, Fault::Driver, Fault::Pod, Fault::Eviction] {
            let mut facts = facts(Origin::Object, &[Action::Fault(harm)]);
            facts.done[0].unseen = true;
            let mut expected = vec![after_harm(harm)];
            expected.extend((harm == Fault::Eviction).then_some(PodDeleted));
            assert_eq!(reasons(&facts), expected, "{harm:?}");
        }
    }

    #[test]
    fn what_lived_on_may_end_for_either() {
        let actions = [Action::Fault(Fault::Pod), Action::End(End::Delete)];
        assert_eq!(reasons(&facts(Origin::Classic, &actions)), [PodDeleted, ClientEnded]);
    }

    #[test]
    fn a_client_that_leaves_is_missed_if_it_can_be() {
        let after_client_left = [Action::End(End::GaveUp)];
        for (origin, answered, marked_abandoned, ready_in_time, expected) in [
            (Origin::Classic, false, true, false, &[ClientGaveUp][..]),
            (Origin::Classic, false, true, true, &[ClientGaveUp]),
            (Origin::Classic, false, false, true, &[NeverConnected]),
            (Origin::Classic, false, false, false, &[ClientGaveUp]),
            (Origin::Classic, true, false, true, &[NeverConnected]),
            (Origin::Bidi, false, true, false, &[ClientGaveUp, Disconnected]),
            (Origin::Bidi, false, false, true, &[Disconnected]),
            (Origin::Bidi, false, false, false, &[ClientGaveUp]),
            (Origin::Bidi, true, false, true, &[Disconnected]),
        ] {
            let facts = Facts {
                answered,
                marked_abandoned,
                ready_in_time,
                ..facts(origin, &after_client_left)
            };
            assert_eq!(reasons(&facts), expected, "{facts:?}");
        }
    }

    #[test]
    fn a_gateway_that_dies_takes_along_only_what_hung_on_it() {
        let delete = [Action::End(End::SessionEnds)];
        for (origin, answered, marked_abandoned, actions, expected) in [
            (Origin::Object, true, false, &delete[..], &[ClientEnded][..]),
            (Origin::Classic, true, false, &delete, &[ClientEnded]),
            (Origin::Bidi, true, false, &delete, &[ClientEnded, Disconnected]),
            (Origin::Classic, false, false, &[], &[NeverConnected]),
            (Origin::Classic, false, true, &[], &[ClientGaveUp]),
            (Origin::Bidi, false, false, &[], &[NeverConnected, Disconnected]),
            (Origin::Bidi, false, true, &[], &[ClientGaveUp, Disconnected]),
        ] {
            let facts =
                Facts { answered, marked_abandoned, gateway_lost: true, ..facts(origin, actions) };
            assert_eq!(reasons(&facts), expected, "{facts:?}");
        }
    }

    #[test]
    fn nobody_comes_for_longer_than_the_hard_limit() {
        for (origin, expected) in
            [(Origin::Classic, &[TimedOut][..]), (Origin::Bidi, &[TimedOut, Disconnected])]
        {
            let lost = Facts {
                answered: false,
                gateway_lost: true,
                hard_limit: true,
                ..facts(origin, &[])
            };
            assert_eq!(reasons(&lost), expected);
        }
    }

    #[test]
    fn a_limit_strikes_before_the_answer_only_if_no_controller_gave_one() {
        for (answered, limit_unseen, expected) in [
            (false, Some(End::HardTimeout), &[TimedOut][..]),
            (false, Some(End::NeverConnected), &[NeverConnected]),
            (false, None, &[]),
            (true, Some(End::HardTimeout), &[]),
        ] {
            let facts = Facts { answered, limit_unseen, ..facts(Origin::Object, &[]) };
            assert_eq!(reasons(&facts), expected, "{facts:?}");
        }
    }

    #[test]
    fn what_nothing_was_done_to_has_no_reason_to_end() {
        assert!(reasons(&facts(Origin::Object, &[])).is_empty());
    }
}
