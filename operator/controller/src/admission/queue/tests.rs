use serde_json::json;

use super::*;
use crate::admission::is_worth_a_write;

fn session(namespace: &str, name: &str, second: i64, priority: i32) -> BrowserSession {
    let created = Timestamp::from_second(second).unwrap();
    serde_json::from_value(json!({
        "apiVersion": "browser-operator.io/v1alpha1", "kind": "BrowserSession",
        "metadata": {
            "name": name, "namespace": namespace, "uid": format!("{namespace}/{name}"),
            "creationTimestamp": created.to_string(),
        },
        "spec": {"priority": priority},
    }))
    .unwrap()
}

fn now() -> Timestamp {
    Timestamp::from_second(1000).unwrap()
}

/// Lets everybody in who may, in the order of the queue, and gives their uids.
fn admit_next(queue: &mut AdmissionQueue) -> Vec<String> {
    let next = queue.next("c");
    next.iter().for_each(|uid| queue.admit(uid));
    next
}

fn queue_of(capacity: usize, sessions: &[BrowserSession]) -> AdmissionQueue {
    let mut queue = AdmissionQueue::default();
    for session in sessions {
        queue.enqueue(session, "c");
    }
    queue.set_capacity("c", capacity);
    queue
}

/// Serves everybody one after the other, each as soon as another ends; the oldest ends first.
fn served(queue: &mut AdmissionQueue) -> Vec<String> {
    let mut served = admit_next(queue);
    let mut ended = 0;
    while ended < served.len() {
        queue.release(&served[ended]);
        ended += 1;
        served.extend(admit_next(queue));
    }
    served
}

#[test]
fn the_oldest_is_first_and_a_higher_priority_before_it() {
    let sessions = [
        session("a", "1", 3, 0),
        session("a", "2", 1, 0),
        session("a", "3", 2, 0),
        session("a", "4", 9, 7),
        session("a", "5", 0, -7),
    ];
    assert_eq!(served(&mut queue_of(1, &sessions)), ["a/4", "a/2", "a/3", "a/1", "a/5"]);
}

#[test]
fn no_namespace_starves_another_whatever_it_submits() {
    let mut sessions: Vec<BrowserSession> =
        (0..200).map(|n| session("big", &format!("{n:03}"), 1, 1000)).collect();
    sessions.extend((0..5).map(|n| session("small", &n.to_string(), 500, 0)));
    let mut queue = queue_of(10, &sessions);
    let first = admit_next(&mut queue);
    let small = first.iter().filter(|uid| uid.starts_with("small")).count();
    assert_eq!((first.len(), small), (10, 5), "{first:?}");

    // The same where the big one was first and had all of the class.
    let (big, small) = sessions.split_at(200);
    let mut queue = queue_of(10, big);
    let first = admit_next(&mut queue);
    for session in small {
        queue.enqueue(session, "c");
    }
    let mut next = Vec::new();
    for uid in &first {
        queue.release(uid);
        next.extend(admit_next(&mut queue));
    }
    let small: Vec<bool> = next.iter().map(|uid| uid.starts_with("small")).collect();
    assert_eq!(small, [[true; 5], [false; 5]].concat(), "{next:?}");
}

#[test]
fn one_place_goes_round_whatever_is_submitted() {
    let mut sessions: Vec<BrowserSession> =
        (0..200).map(|n| session("big", &format!("{n:03}"), 1, 1000)).collect();
    sessions.extend((0..5).map(|n| session("small", &n.to_string(), 500, 0)));
    let served = served(&mut queue_of(1, &sessions));
    let small: Vec<usize> =
        (0..served.len()).filter(|at| served[*at].starts_with("small")).collect();
    assert_eq!((served.len(), small), (205, vec![1, 3, 5, 7, 9]));
}

#[test]
fn one_that_comes_back_is_not_new() {
    let mut queue = queue_of(1, &[session("a", "0", 1, 0), session("b", "0", 2, 0)]);
    let mut order = Vec::new();
    for round in 1..4 {
        // a asks again only after its last session has ended.
        for uid in admit_next(&mut queue) {
            order.push(uid.clone());
            queue.release(&uid);
            queue.enqueue(&session("a", &round.to_string(), 0, 1000), "c");
        }
    }
    assert_eq!(order[..2], ["a/0", "b/0"]);
}

#[test]
fn nobody_is_left_with_nothing_by_others_that_have_something() {
    let mut sessions = Vec::new();
    for namespace in ["h1", "h2", "h3", "h4", "h5"] {
        sessions.extend((0..20).map(|n| session(namespace, &format!("{n:02}"), 1, 1000)));
    }
    let mut queue = queue_of(10, &sessions);
    let first = admit_next(&mut queue);
    for namespace in ["l1", "l2", "l3", "l4"] {
        queue.enqueue(&session(namespace, "0", 9, -1000), "c");
    }
    let mut next = Vec::new();
    for uid in first.iter().take(4) {
        queue.release(uid);
        next.extend(admit_next(&mut queue));
    }
    assert_eq!(next, ["l1/0", "l2/0", "l3/0", "l4/0"]);
}

#[test]
fn among_namespaces_below_their_share_priority_decides_and_then_who_has_less() {
    let sessions = [
        session("a", "1", 1, 0),
        session("a", "2", 2, 0),
        session("a", "3", 3, 0),
        session("b", "1", 4, 0),
        session("c", "1", 5, 1),
    ];
    let mut queue = queue_of(3, &sessions);
    assert_eq!(served(&mut queue), ["c/1", "a/1", "b/1", "a/2", "a/3"]);
}

#[test]
fn a_place_is_given_once_and_a_session_that_has_one_keeps_it() {
    let (one, two) = (session("a", "1", 1, 0), session("a", "2", 2, 0));
    let mut queue = queue_of(1, &[one.clone(), two.clone()]);
    let waits = Admission::Queued { reason: Reason::CapacityReached, position: 2 };
    assert_eq!(queue.admission("a/1", Some(1), now()), Admission::Admitted);
    assert_eq!(queue.admission("a/2", Some(1), now()), waits);
    queue.admit("a/1");
    let waits = Admission::Queued { reason: Reason::CapacityReached, position: 1 };
    assert_eq!(queue.admission("a/2", Some(1), now() + jiff::SignedDuration::from_secs(2)), waits);
    // A look at it again changes nothing.
    queue.enqueue(&one, "c");
    assert_eq!(queue.admission("a/1", Some(1), now()), Admission::Admitted);
    assert_eq!(queue.release("a/1"), [SessionKey::of_session(&two).unwrap()]);
    assert_eq!(queue.admission("a/2", Some(1), now()), Admission::Admitted);
    assert_eq!(queue.release("a/2"), []);
    assert!(queue.entries.is_empty() && queue.classes["c"].waiting.is_empty());
    assert!(queue.classes["c"].live.is_empty());
}

#[test]
fn a_capacity_that_grows_or_is_gone_lets_more_in() {
    let sessions = ["1", "2", "3"].map(|name| session("a", name, 1, 0));
    for (capacity, expected) in [(Some(0), 0), (Some(2), 2), (None, 3)] {
        let mut queue = queue_of(0, &sessions);
        let goes = |queue: &mut AdmissionQueue, uid: &str| {
            queue.admission(uid, capacity, now()) == Admission::Admitted
        };
        let went = ["a/1", "a/2", "a/3"].iter().filter(|uid| goes(&mut queue, uid)).count();
        assert_eq!(went, expected);
    }
}

#[test]
fn a_session_that_is_moved_to_another_class_leaves_its_queue() {
    let one = session("a", "1", 1, 0);
    let mut queue = queue_of(0, std::slice::from_ref(&one));
    queue.enqueue(&one, "other");
    assert_eq!(queue.admission("a/1", Some(1), now()), Admission::Admitted);
    assert!(queue.classes["c"].waiting.is_empty());
}

#[test]
fn of_a_namespace_whose_quota_is_used_up_one_tries_and_others_are_not_held_up() {
    let mut sessions: Vec<BrowserSession> =
        ["1", "2", "3"].into_iter().map(|name| session("a", name, 1, 0)).collect();
    sessions.push(session("b", "1", 9, 0));
    let mut queue = queue_of(3, &sessions);
    assert_eq!(admit_next(&mut queue), ["a/1", "b/1", "a/2"]);
    // a/2 gets no pod: its place is free, but nobody else of the namespace may try.
    assert!(queue.pod_refused(&sessions[1], Reason::QuotaExceeded).is_empty());
    let waits = Admission::Queued { reason: Reason::QuotaExceeded, position: 2 };
    assert_eq!(queue.admission("a/3", Some(3), now()), waits);
    assert_eq!(queue.admission("a/2", Some(3), now()), Admission::Admitted);
    queue.enqueue(&session("b", "2", 10, 0), "c");
    assert_eq!(
        queue.admission("b/2", Some(3), now()),
        Admission::Admitted,
        "b was served longer ago"
    );

    // A pod of the namespace goes: the first one tries, and when its pod is made the next.
    let woken = |keys: Vec<SessionKey>| keys.into_iter().map(|key| key.uid).collect::<Vec<_>>();
    assert_eq!(woken(queue.release("a/1")), ["b/2"]);
    assert_eq!(woken(queue.quota_freed("a")), ["a/2"]);
    queue.admit("a/2");
    // Another goes while its pod is being created: nobody overtakes it, whatever becomes of that pod.
    assert_eq!(woken(queue.quota_freed("a")), ["a/2"]);
    assert_eq!(
        queue.admission("a/3", Some(9), now() + jiff::SignedDuration::from_secs(2)),
        Admission::Queued { reason: Reason::QuotaExceeded, position: 2 }
    );
    assert_eq!(woken(queue.pod_created("a/2")), ["a/3"]);
    assert_eq!(queue.admission("a/3", Some(9), now()), Admission::Admitted);
    queue.admit("a/3");
    assert_eq!(woken(queue.pod_created("a/3")), [""; 0]);
    assert!(queue.classes["c"].blocked.is_empty());
}

#[test]
fn of_several_that_a_quota_refuses_the_first_in_the_queue_retries() {
    let sessions = ["1", "2"].map(|name| session("a", name, 1, 0));
    for order in [[0, 1], [1, 0]] {
        let mut queue = queue_of(9, &sessions);
        assert_eq!(admit_next(&mut queue), ["a/1", "a/2"]);
        order.iter().for_each(|&at| drop(queue.pod_refused(&sessions[at], Reason::QuotaExceeded)));
        assert_eq!(queue.next("c"), ["a/1"], "refused in the order {order:?}");
    }
    // The first tries already when the second is refused.
    let mut queue = queue_of(9, &sessions);
    admit_next(&mut queue);
    queue.pod_refused(&sessions[0], Reason::QuotaExceeded);
    queue.admit("a/1");
    queue.pod_refused(&sessions[1], Reason::QuotaExceeded);
    assert_eq!(queue.next("c"), [""; 0]);
    assert_eq!(queue.pod_created("a/1").len(), 1);
    assert_eq!(queue.next("c"), ["a/2"]);
    // A more urgent one that came meanwhile is the one to try next.
    let mut queue = queue_of(9, &sessions[..1]);
    admit_next(&mut queue);
    queue.enqueue(&session("a", "urgent", 3, 7), "c");
    let woken = queue.pod_refused(&sessions[0], Reason::QuotaExceeded);
    assert_eq!(woken.iter().map(|key| key.uid.as_str()).collect::<Vec<_>>(), ["a/urgent"]);
}

#[test]
fn two_namespaces_that_are_refused_do_not_wake_each_other() {
    let sessions = [session("a", "1", 1, 0), session("b", "1", 1, 0)];
    let mut queue = queue_of(9, &sessions);
    admit_next(&mut queue);
    queue.pod_refused(&sessions[0], Reason::QuotaExceeded);
    assert!(queue.pod_refused(&sessions[1], Reason::QuotaExceeded).is_empty());
    for _ in 0..3 {
        queue.admit("a/1");
        assert!(queue.pod_refused(&sessions[0], Reason::QuotaExceeded).is_empty());
    }
    // One that had to wait for a place does not look again by itself.
    queue.set_capacity("c", 1);
    queue.admit("a/1");
    assert_ne!(queue.admission("b/1", Some(1), now()), Admission::Admitted);
    let woken = queue.pod_refused(&sessions[0], Reason::QuotaExceeded);
    assert_eq!(woken.iter().map(|key| key.uid.as_str()).collect::<Vec<_>>(), ["b/1"]);
}

#[test]
fn who_pauses_after_a_refusal_keeps_no_place_from_others() {
    let mut sessions: Vec<BrowserSession> =
        ["1", "2"].into_iter().map(|name| session("a", name, 1, 9)).collect();
    sessions.extend(["1", "2", "3"].into_iter().map(|name| session("b", name, 2, 0)));
    let mut queue = queue_of(4, &sessions);
    for uid in ["a/1", "a/2", "b/1", "b/2"] {
        queue.admit(uid);
    }
    // a has less than b, and a higher priority.
    let woken = queue.pod_refused(&sessions[1], Reason::QuotaExceeded);
    assert_eq!(woken.iter().map(|key| key.uid.as_str()).collect::<Vec<_>>(), ["b/3"]);
    assert_eq!(queue.admission("b/3", Some(4), now()), Admission::Admitted);
    queue.admit("b/3");
    // The class is full now: it waits for the next place, which is its own.
    assert_ne!(queue.admission("a/2", Some(4), now()), Admission::Admitted);
    queue.enqueue(&session("b", "4", 0, 0), "c");
    let woken = queue.release("b/1");
    assert_eq!(woken.iter().map(|key| key.uid.as_str()).collect::<Vec<_>>(), ["a/2"]);
}

#[test]
fn a_namespace_is_blocked_only_while_somebody_retries() {
    let sessions = ["1", "2"].map(|name| session("a", name, 1, 0));
    let mut queue = queue_of(9, &sessions);
    queue.admit("a/1");
    queue.pod_refused(&sessions[0], Reason::QuotaExceeded);
    // Its pod was made by somebody who knew it to be of another class.
    let key = SessionKey::of_session(&sessions[0]).unwrap();
    assert_eq!(queue.reserve(&key, "other"), [SessionKey::of_session(&sessions[1]).unwrap()]);
    assert_eq!(queue.admission("a/2", Some(9), now()), Admission::Admitted);
    queue.release("a/2");
    assert!(queue.classes["c"].blocked.is_empty());
}

#[test]
fn a_session_with_a_place_elsewhere_leaves_its_own_to_the_next() {
    let sessions = ["1", "2"].map(|name| session("a", name, 1, 0));
    let mut queue = queue_of(1, &sessions);
    queue.admit("a/1");
    assert_ne!(queue.admission("a/2", Some(1), now()), Admission::Admitted);
    let [one, two] = sessions.map(|session| SessionKey::of_session(&session).unwrap());
    assert_eq!(queue.reserve(&one, "other"), [two]);
    assert_eq!(queue.admission("a/2", Some(1), now()), Admission::Admitted);
}

#[test]
fn the_session_that_retries_leaves_its_try_to_the_next() {
    let sessions = ["1", "2"].map(|name| session("a", name, 1, 0));
    let mut queue = queue_of(9, &sessions);
    queue.admit("a/1");
    queue.pod_refused(&sessions[0], Reason::QuotaExceeded);
    assert_ne!(queue.admission("a/2", Some(9), now()), Admission::Admitted);
    assert_eq!(queue.release("a/1"), [SessionKey::of_session(&sessions[1]).unwrap()]);
    assert_eq!(queue.admission("a/2", Some(9), now()), Admission::Admitted);
}

#[test]
fn a_pod_that_a_policy_refuses_holds_up_nobody() {
    let sessions = ["1", "2"].map(|name| session("a", name, 1, 0));
    let mut queue = queue_of(1, &sessions);
    queue.admit("a/1");
    assert_eq!(
        queue.pod_refused(&sessions[0], Reason::PodRefused),
        [SessionKey::of_session(&sessions[1]).unwrap()]
    );
    assert_eq!(queue.admission("a/2", Some(1), now()), Admission::Admitted);
}

#[test]
fn positions_are_those_of_the_order_and_written_seldom() {
    let sessions: Vec<BrowserSession> =
        (0..1000).map(|n| session("a", &format!("{n:04}"), 1, 0)).collect();
    let mut queue = queue_of(0, &sessions);
    let positions = queue.positions(now());
    assert_eq!(positions.len(), 1000);
    assert!(positions.iter().all(|(key, position)| key.name == format!("{:04}", position - 1)));

    let (mut written, mut writes) = (None, 0);
    for position in (1..=1000).rev() {
        if is_worth_a_write(written, position) {
            (written, writes) = (Some(position), writes + 1);
        }
    }
    assert_eq!((written, writes), (Some(1), 10));
    assert!(
        !is_worth_a_write(Some(4), 5)
            && !is_worth_a_write(Some(4), 3)
            && is_worth_a_write(Some(4), 8)
    );
}

#[test]
fn a_namespace_has_no_more_than_its_ceiling_and_others_are_served_before_it() {
    let sessions = [
        session("a", "1", 1, 0),
        session("a", "2", 2, 0),
        session("a", "3", 3, 0),
        session("b", "1", 4, 0),
    ];
    let mut queue = queue_of(3, &sessions);
    queue.set_ceiling("c", Some(1));
    assert_eq!(admit_next(&mut queue), ["a/1", "b/1"], "a place is left over");
    let waits = |position| Admission::Queued { reason: Reason::NamespaceCeilingReached, position };
    assert_eq!(queue.admission("a/2", Some(3), now()), waits(1));
    assert_eq!(queue.admission("a/3", Some(3), now()), waits(2));
    let woken: Vec<String> = queue.release("a/1").into_iter().map(|key| key.uid).collect();
    assert_eq!(woken, ["a/2"]);
    assert_eq!(queue.admission("a/2", Some(3), now()), Admission::Admitted);
    queue.set_ceiling("c", None);
    assert_eq!(queue.admission("a/3", Some(3), now()), Admission::Admitted, "it was raised");
}

#[test]
fn classes_and_namespaces_that_are_gone_are_forgotten() {
    let mut queue = queue_of(1, &[session("a", "1", 1, 0)]);
    admit_next(&mut queue);
    assert_eq!(queue.forget_classes(|_| false), [""; 0], "it has a session");
    queue.release("a/1");
    assert_eq!(queue.forget_classes(|_| true), [""; 0]);
    assert_eq!(queue.forget_classes(|_| false), ["c"]);
    assert_eq!(queue.counts().count(), 0);
    for n in 0..20_000 {
        let one = session(&format!("n{n}"), "1", 1, 0);
        queue.enqueue(&one, "c");
        queue.admit(one.metadata.uid.as_deref().unwrap());
        queue.release(one.metadata.uid.as_deref().unwrap());
    }
    assert!(queue.class("c").served.len() <= 8193, "{}", queue.class("c").served.len());
}
