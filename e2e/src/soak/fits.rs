//! Which reasons fit what was done to a session. Pure: the one place that says so.

use crds::Reason;

use super::plan::{Birth, Deed, End, Harm};

/// Something that was done.
#[derive(Clone, Copy, Debug)]
pub struct Done {
    pub deed: Deed,
    /// Whether there was a time between the deed and the end when no controller was there.
    pub unseen: bool,
}

/// All that is known of a session's life.
#[derive(Clone, Debug)]
pub struct Facts {
    /// How it was asked for.
    pub birth: Birth,
    /// Everything that was done to it.
    pub done: Vec<Done>,
    /// Whether its client was told that it has its session.
    pub answered: bool,
    /// Whether the object says that its client left.
    pub marked: bool,
    /// Whether it was Ready before its gateway could know that its client had left.
    pub ready_in_time: bool,
    /// Whether the gateway that it was asked for at was away while its client needed it: until the answer, and where the
    /// session lives by that socket, until the end.
    pub gateway_lost: bool,
    /// Whether its hard limit is nearer than the one for nobody to come.
    pub hard_limit: bool,
    /// The limit that ends it if nothing else does, where no controller was there for a time before its client had its answer:
    /// the agent counts from its bind, and the controller may have told nobody of that.
    pub limit_unseen: Option<End>,
}

#[must_use]
pub fn fitting(facts: &Facts) -> Vec<Reason> {
    let mut reasons = Vec::new();
    for done in &facts.done {
        match done.deed {
            Deed::End(End::GaveUp) => reasons.extend(gave_up(facts)),
            Deed::End(end) => reasons.push(after_end(end)),
            Deed::Harm(harm) => reasons.push(after_harm(harm)),
        }
        // Who sees no more than that the pod is gone does not know who took it.
        if done.unseen && done.deed == Deed::Harm(Harm::Eviction) {
            reasons.push(Reason::PodDeleted);
        }
    }
    if !facts.answered {
        reasons.extend(facts.limit_unseen.map(after_end));
    }
    if facts.gateway_lost {
        reasons.extend(without_gateway(facts));
    }
    let mut fitting = Vec::new();
    reasons.into_iter().for_each(|reason| {
        if !fitting.contains(&reason) {
            fitting.push(reason);
        }
    });
    fitting
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

fn after_harm(harm: Harm) -> Reason {
    match harm {
        Harm::Agent => Reason::AgentLost,
        Harm::Browser => Reason::BrowserCrashed,
        Harm::Driver => Reason::DriverCrashed,
        Harm::Pod => Reason::PodDeleted,
        Harm::Eviction => Reason::NodeDrained,
    }
}

/// A client that leaves ends its session; unless its answer was on the way already: then it has one and does not come.
fn gave_up(facts: &Facts) -> Vec<Reason> {
    match facts.birth {
        _ if facts.answered => vec![not_there(facts.birth)],
        // The gateway holds the session's one socket before it answers: it lets go of both at once.
        Birth::Bidi if facts.marked => vec![Reason::ClientGaveUp, Reason::Disconnected],
        _ if facts.marked => vec![Reason::ClientGaveUp],
        birth if facts.ready_in_time => vec![not_there(birth)],
        _ => vec![Reason::ClientGaveUp],
    }
}

/// How a session ends whose client has it and is not there.
fn not_there(birth: Birth) -> Reason {
    match birth {
        Birth::Bidi => Reason::Disconnected,
        Birth::Object | Birth::Classic => Reason::NeverConnected,
    }
}

/// A gateway that dies while it makes a session cannot say that the client left, one that is told to stop can; the session's
/// one socket dies with either.
fn without_gateway(facts: &Facts) -> Vec<Reason> {
    let nobody_comes = if facts.hard_limit { Reason::TimedOut } else { Reason::NeverConnected };
    match (facts.birth, facts.answered) {
        (Birth::Object, _) | (Birth::Classic, true) => vec![],
        (Birth::Bidi, true) => vec![Reason::Disconnected],
        (Birth::Classic, false) if facts.marked => vec![Reason::ClientGaveUp],
        (Birth::Classic, false) => vec![nobody_comes],
        (Birth::Bidi, false) if facts.marked => vec![Reason::ClientGaveUp, Reason::Disconnected],
        (Birth::Bidi, false) => vec![nobody_comes, Reason::Disconnected],
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
    fn facts(birth: Birth, deeds: &[Deed]) -> Facts {
        let done = deeds.iter().map(|deed| Done { deed: *deed, unseen: false }).collect();
        Facts {
            birth,
            done,
            answered: true,
            marked: false,
            ready_in_time: true,
            gateway_lost: false,
            hard_limit: false,
            limit_unseen: None,
        }
    }

    #[test]
    fn every_deed_has_its_one_reason() {
        for (deed, reason) in [
            (Deed::End(End::Delete), ClientEnded),
            (Deed::End(End::SessionEnds), ClientEnded),
            (Deed::End(End::BrowserCloses), ClientEnded),
            (Deed::End(End::KubectlDelete), Deleted),
            (Deed::End(End::Annotation("ClientEnded")), ClientEnded),
            (Deed::End(End::Annotation("Released")), Released),
            (Deed::End(End::Annotation("Enough")), ClientEnded),
            (Deed::End(End::HardTimeout), TimedOut),
            (Deed::End(End::IdleTimeout), IdleTimeout),
            (Deed::End(End::NeverConnected), NeverConnected),
            (Deed::End(End::SocketClosed), Disconnected),
            (Deed::End(End::SocketDropped), Disconnected),
            (Deed::Harm(Harm::Agent), AgentLost),
            (Deed::Harm(Harm::Browser), BrowserCrashed),
            (Deed::Harm(Harm::Driver), DriverCrashed),
            (Deed::Harm(Harm::Pod), PodDeleted),
            (Deed::Harm(Harm::Eviction), NodeDrained),
        ] {
            for birth in [Birth::Object, Birth::Classic, Birth::Bidi] {
                assert_eq!(fitting(&facts(birth, &[deed])), [reason], "{deed} {birth:?}");
            }
        }
    }

    #[test]
    fn only_a_missing_controller_mistakes_an_eviction() {
        for harm in [Harm::Agent, Harm::Browser, Harm::Driver, Harm::Pod, Harm::Eviction] {
            let mut facts = facts(Birth::Object, &[Deed::Harm(harm)]);
            facts.done[0].unseen = true;
            let mut expected = vec![after_harm(harm)];
            expected.extend((harm == Harm::Eviction).then_some(PodDeleted));
            assert_eq!(fitting(&facts), expected, "{harm:?}");
        }
    }

    #[test]
    fn what_lived_on_may_end_for_either() {
        let deeds = [Deed::Harm(Harm::Pod), Deed::End(End::Delete)];
        assert_eq!(fitting(&facts(Birth::Classic, &deeds)), [PodDeleted, ClientEnded]);
    }

    #[test]
    fn a_client_that_leaves_is_missed_if_it_can_be() {
        let gave_up = [Deed::End(End::GaveUp)];
        for (birth, answered, marked, ready_in_time, expected) in [
            (Birth::Classic, false, true, false, &[ClientGaveUp][..]),
            (Birth::Classic, false, true, true, &[ClientGaveUp]),
            (Birth::Classic, false, false, true, &[NeverConnected]),
            (Birth::Classic, false, false, false, &[ClientGaveUp]),
            (Birth::Classic, true, false, true, &[NeverConnected]),
            (Birth::Bidi, false, true, false, &[ClientGaveUp, Disconnected]),
            (Birth::Bidi, false, false, true, &[Disconnected]),
            (Birth::Bidi, false, false, false, &[ClientGaveUp]),
            (Birth::Bidi, true, false, true, &[Disconnected]),
        ] {
            let facts = Facts { answered, marked, ready_in_time, ..facts(birth, &gave_up) };
            assert_eq!(fitting(&facts), expected, "{facts:?}");
        }
    }

    #[test]
    fn a_gateway_that_dies_takes_along_only_what_hung_on_it() {
        let delete = [Deed::End(End::SessionEnds)];
        for (birth, answered, marked, deeds, expected) in [
            (Birth::Object, true, false, &delete[..], &[ClientEnded][..]),
            (Birth::Classic, true, false, &delete, &[ClientEnded]),
            (Birth::Bidi, true, false, &delete, &[ClientEnded, Disconnected]),
            (Birth::Classic, false, false, &[], &[NeverConnected]),
            (Birth::Classic, false, true, &[], &[ClientGaveUp]),
            (Birth::Bidi, false, false, &[], &[NeverConnected, Disconnected]),
            (Birth::Bidi, false, true, &[], &[ClientGaveUp, Disconnected]),
        ] {
            let facts = Facts { answered, marked, gateway_lost: true, ..facts(birth, deeds) };
            assert_eq!(fitting(&facts), expected, "{facts:?}");
        }
    }

    #[test]
    fn nobody_comes_for_longer_than_the_hard_limit() {
        for (birth, expected) in
            [(Birth::Classic, &[TimedOut][..]), (Birth::Bidi, &[TimedOut, Disconnected])]
        {
            let lost = Facts {
                answered: false,
                gateway_lost: true,
                hard_limit: true,
                ..facts(birth, &[])
            };
            assert_eq!(fitting(&lost), expected);
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
            let facts = Facts { answered, limit_unseen, ..facts(Birth::Object, &[]) };
            assert_eq!(fitting(&facts), expected, "{facts:?}");
        }
    }

    #[test]
    fn what_nothing_was_done_to_has_no_reason_to_end() {
        assert!(fitting(&facts(Birth::Object, &[])).is_empty());
    }
}
