use super::*;
use crds::BrowserClass;
use serde_json::{Value, json};

fn classes(extra: Value) -> Vec<BrowserClass> {
    let mut spec = json!({"browserName": "chrome", "versions": [{"version": "1", "image": "i"}]});
    spec.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    vec![
        serde_json::from_value(json!({
            "apiVersion": "browser-operator.io/v1alpha1", "kind": "BrowserClass",
            "metadata": {"name": "chromium"}, "spec": spec,
        }))
        .unwrap(),
    ]
}

fn session(parts: Value) -> BrowserSession {
    let mut whole = json!({
        "apiVersion": "browser-operator.io/v1alpha1", "kind": "BrowserSession",
        "metadata": {
            "name": "s", "namespace": "n", "uid": "u", "generation": 1,
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {},
    });
    merge(&mut whole, parts);
    serde_json::from_value(whole).unwrap()
}

fn pod(parts: Value) -> Pod {
    let mut whole = json!({"metadata": {
        "name": "s-1", "namespace": "n", "uid": "p", "creationTimestamp": "2026-01-01T00:00:00Z",
        "labels": {"browser-operator.io/class": "chromium"},
    }});
    merge(&mut whole, parts);
    serde_json::from_value(whole).unwrap()
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

fn references(classes: &[BrowserClass]) -> References {
    References { classes: classes.into(), labels: None, credentials: None }
}

fn facts<'a>(
    session: Option<&'a BrowserSession>,
    pod: Option<&'a Pod>,
    references: &'a References,
    now: Timestamp,
) -> Facts<'a> {
    let services = Services { are_complete: true, own: false };
    let has_brought = false;
    Facts { session, pod, tombstone: None, services, has_brought, references, now }
}

fn admit(_: &str, _: Option<usize>) -> Option<Admission> {
    Some(Admission::Admitted)
}

/// What happens `after` seconds after the session was created.
fn next(
    session: Option<&BrowserSession>,
    pod: Option<&Pod>,
    classes: &[BrowserClass],
    before: usize,
    after: i64,
) -> String {
    let born: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let now = born + SignedDuration::from_secs(after);
    let admit = |_: &str, capacity: Option<usize>| {
        Some(match capacity {
            Some(capacity) if before >= capacity => Admission::Queued {
                reason: Reason::CapacityReached,
                position: i32::try_from(before - capacity + 1).unwrap(),
            },
            _ => Admission::Admitted,
        })
    };
    match decide(&facts(session, pod, &references(classes), now), admit) {
        Step::ApplyServices { .. } => "apply services".to_owned(),
        Step::Wait(None) => "wait".to_owned(),
        Step::Wait(Some(pause)) => format!("wait {}", pause.as_secs()),
        Step::CreatePod { placement, .. } => format!("create {}", placement.version.image),
        Step::Bind { ip, .. } => format!("bind {ip}"),
        Step::Route { ip, .. } => format!("route {ip}"),
        Step::Report { status, .. } => summary("report", &status),
        Step::End { status, .. } => summary("end", &status),
        Step::DeletePod { .. } => "delete pod".to_owned(),
        Step::DeleteService { .. } => "delete service".to_owned(),
        Step::DeleteCredentials => "delete credentials".to_owned(),
        Step::DeleteSession => "delete session".to_owned(),
    }
}

fn summary(what: &str, status: &BrowserSessionStatus) -> String {
    let phase = status.phase.unwrap();
    let types: Vec<&str> = status.conditions.iter().map(|c| c.type_.as_str()).collect();
    let position = status.queue_position.map(|n| format!(" at {n}")).unwrap_or_default();
    format!("{what} {phase:?} {} {}{position}", status.conditions[0].reason, types.join("+"))
}

#[test]
fn every_state_has_its_next_step() {
    let all = classes(json!({}));
    let full = classes(json!({"capacity": 1}));
    let fresh = session(json!({}));
    let misplaced = session(json!({"spec": {"className": "mosaic"}}));
    let reported = session(json!({"status": {"phase": "Starting", "podName": "s-1"}}));
    let ready = session(json!({"status": {"phase": "Ready", "podName": "s-1", "conditions": [{
        "type": "Ready", "status": "True", "reason": "BrowserReady", "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }]}}));
    let waiting = session(json!({"status": {"phase": "Pending", "queuePosition": 8}}));
    let over =
        session(json!({"status": {"phase": "Completed", "endedAt": "2026-01-01T00:00:10Z"}}));
    let mortal = session(json!({
        "spec": {"ttlSecondsAfterFinished": 60},
        "status": {"phase": "Completed", "endedAt": "2026-01-01T00:00:10Z"},
    }));
    let deleted = session(json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}));
    let deleted_before = session(json!({
        "metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"ttlSecondsAfterFinished": 60},
        "status": {"phase": "Completed", "endedAt": "2026-01-01T00:00:10Z"},
    }));
    let asked_to_end = session(json!({"metadata": {"annotations": {
        "browser-operator.io/end": "ClientGaveUp",
    }}}));
    let blank = pod(json!({}));
    let up = pod(json!({"status": {"podIP": "10.0.0.1"}}));
    let running = pod(json!({"status": {"podIP": "10.0.0.1", "containerStatuses": [{
        "name": "browser", "image": "", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"running": {"startedAt": "2026-01-01T00:04:10Z"}},
    }]}}));
    let imageless = pod(json!({"status": {"containerStatuses": [{
        "name": "browser", "image": "", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"waiting": {"reason": "ErrImagePull"}},
    }]}}));
    let ended = pod(json!({"status": {"phase": "Succeeded", "containerStatuses": [{
        "name": "browser", "image": "", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"terminated": {"exitCode": 0, "message": "{\"reason\":\"ClientEnded\"}"}},
    }]}}));
    let released =
        session(json!({"metadata": {"annotations": {"browser-operator.io/end": "Released"}}}));
    let late =
        session(json!({"metadata": {"annotations": {"browser-operator.io/end": "Starting"}}}));
    let drained = pod(json!({
        "metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"},
        "status": {"podIP": "10.0.0.1", "conditions": [{
            "type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
        }]},
    }));
    let killed = pod(json!({"status": {"phase": "Failed", "containerStatuses": [{
        "name": "browser", "image": "", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
    }]}}));
    let refused = pod(json!({"status": {"phase": "Failed", "reason": "OutOfcpu"}}));
    let going = pod(json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}));
    let going_live = pod(json!({
        "metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"},
        "status": {"podIP": "10.0.0.1"},
    }));

    for (session, pod, classes, before, after, expected) in [
        (None, None, &all, 0, 0, "wait"),
        (None, Some(&up), &all, 0, 0, "delete pod"),
        (None, Some(&going), &all, 0, 0, "wait"),
        (None, Some(&going_live), &all, 0, 0, "delete pod"),
        (Some(&deleted), Some(&up), &all, 0, 0, "end Completed Deleted Finished"),
        (Some(&deleted), None, &all, 0, 0, "end Completed Deleted Finished"),
        (Some(&deleted_before), Some(&up), &all, 0, 0, "delete pod"),
        (Some(&deleted_before), None, &all, 0, 1_000_000, "wait"),
        (Some(&fresh), None, &all, 5, 0, "create i"),
        (Some(&fresh), None, &full, 0, 0, "create i"),
        (Some(&fresh), None, &full, 1, 0, "wait 2"),
        (Some(&fresh), None, &full, 1, 2, "report Pending CapacityReached Ready at 1"),
        (Some(&waiting), None, &full, 16, 9, "report Pending CapacityReached Ready at 16"),
        (Some(&waiting), None, &full, 4, 9, "report Pending CapacityReached Ready at 4"),
        (Some(&waiting), None, &full, 5, 9, "report Pending CapacityReached Ready at 8"),
        (Some(&waiting), None, &full, 0, 9, "create i"),
        (Some(&misplaced), None, &all, 0, 0, "end Failed ClassNotFound Ready+Stalled+Finished"),
        (Some(&fresh), Some(&blank), &all, 0, 0, "wait 2"),
        (Some(&fresh), Some(&blank), &all, 0, 2, "report Starting Starting Ready"),
        (Some(&fresh), Some(&imageless), &all, 0, 2, "report Starting ImageUnavailable Ready"),
        (
            Some(&fresh),
            Some(&imageless),
            &all,
            0,
            600,
            "end Failed ImageUnavailable Ready+Stalled+Finished",
        ),
        (
            Some(&fresh),
            Some(&blank),
            &all,
            0,
            600,
            "end Failed Unschedulable Ready+Stalled+Finished",
        ),
        (Some(&fresh), Some(&up), &all, 0, 0, "bind 10.0.0.1"),
        (Some(&fresh), Some(&up), &all, 0, 599, "bind 10.0.0.1"),
        (Some(&fresh), Some(&running), &all, 0, 309, "bind 10.0.0.1"),
        (
            Some(&fresh),
            Some(&running),
            &all,
            0,
            310,
            "end Failed StartTimedOut Ready+Stalled+Finished",
        ),
        (Some(&reported), None, &all, 0, 5, "end Failed PodDeleted Ready+Stalled+Finished"),
        (Some(&ready), Some(&up), &all, 0, 900, "wait"),
        (Some(&ready), Some(&ended), &all, 0, 9, "end Completed ClientEnded Finished"),
        (Some(&ready), Some(&going), &all, 0, 9, "end Failed PodDeleted Ready+Stalled+Finished"),
        (Some(&ready), Some(&drained), &all, 0, 9, "end Failed NodeDrained Ready+Stalled+Finished"),
        (Some(&ready), Some(&killed), &all, 0, 9, "end Failed OutOfMemory Ready+Stalled+Finished"),
        (Some(&released), Some(&up), &all, 0, 9, "end Completed Released Finished"),
        (Some(&late), Some(&up), &all, 0, 9, "end Completed ClientEnded Finished"),
        (
            Some(&fresh),
            Some(&refused),
            &all,
            0,
            1,
            "end Failed Unschedulable Ready+Stalled+Finished",
        ),
        (Some(&ready), None, &all, 0, 9, "end Failed PodDeleted Ready+Stalled+Finished"),
        (Some(&asked_to_end), Some(&up), &all, 0, 1, "end Completed ClientGaveUp Finished"),
        (Some(&over), Some(&ended), &all, 0, 10, "delete pod"),
        (Some(&over), None, &all, 0, 1_000_000, "wait"),
        (Some(&mortal), None, &all, 0, 11, "wait 59"),
        (Some(&mortal), None, &all, 0, 70, "delete session"),
    ] {
        let got = next(session, pod, classes, before, after);
        let name = session.map(|s| serde_json::to_string(&s.status).unwrap());
        assert_eq!(got, expected, "{name:?} {pod:?} after {after}");
    }
}

#[test]
fn a_class_whose_template_is_refused_lets_its_sessions_wait_until_it_is_mended() {
    let broken = classes(json!({"podTemplate": {"spec": {"hostNetwork": true}}}));
    let fresh = session(json!({}));
    assert_eq!(next(Some(&fresh), None, &broken, 0, 2), "report Pending ClassUnusable Ready");
}

#[test]
fn a_service_of_a_type_that_the_class_does_not_allow_is_refused_also_later() {
    let (default, open) = (classes(json!({})), classes(json!({"exposeTypes": ["NodePort"]})));
    let asks = session(json!({"spec": {"expose": {"type": "NodePort"}}}));
    let refused = "end Failed NotAllowed Ready+Stalled+Finished";
    assert_eq!(next(Some(&asks), None, &default, 0, 0), refused);
    assert_eq!(next(Some(&asks), None, &open, 0, 0), "create i");

    let up = pod(json!({"status": {"podIP": "10.0.0.1"}}));
    let services = Services { are_complete: false, own: false };
    let now: Timestamp = "2026-01-01T00:00:09Z".parse().unwrap();
    let step = |classes| {
        let all = references(classes);
        let facts = Facts { services, ..facts(Some(&asks), Some(&up), &all, now) };
        match decide(&facts, admit) {
            Step::ApplyServices { .. } => "apply services".to_owned(),
            Step::End { status, .. } => status.conditions[0].message.clone(),
            other => format!("{other:?}"),
        }
    };
    assert_eq!(step(&open), "apply services");
    assert_eq!(step(&default), "spec.expose.type: class chromium allows ClusterIP, not NodePort");
}

#[test]
fn a_status_says_what_a_pod_waits_for_that_is_asked_for_long() {
    let born: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let fresh = session(json!({}));
    let pulling = pod(json!({"spec": {"containers": [], "nodeName": "n1"}, "status": {
        "podIP": "10.0.0.1", "containerStatuses": [{
            "name": "browser", "image": "i:1", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": "ContainerCreating"}},
        }],
    }}));
    let after = |seconds| born + SignedDuration::from_secs(seconds);
    assert_eq!(slow_start(&fresh, &pulling, after(1)), Slow::Not(Duration::from_secs(4)));
    let Slow::Report(status) = slow_start(&fresh, &pulling, after(5)) else { panic!("it is late") };
    assert!(status.conditions[0].message.contains("image i:1"), "{:?}", status.conditions);
    let told = BrowserSession { status: Some(*status), ..fresh };
    assert_eq!(slow_start(&told, &pulling, after(6)), Slow::Told);
    // The image is there, and the container runs: its agent has the same time from then on.
    let running = pod(json!({"spec": {"containers": [], "nodeName": "n1"}, "status": {
        "podIP": "10.0.0.1", "containerStatuses": [{
            "name": "browser", "image": "i:1", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"running": {"startedAt": "2026-01-01T00:00:30Z"}},
        }],
    }}));
    assert_eq!(slow_start(&told, &running, after(31)), Slow::Not(Duration::from_secs(4)));
    assert!(matches!(slow_start(&told, &running, after(35)), Slow::Report(_)));
}

#[test]
fn a_stage_that_nothing_holds_up_is_told_once_it_lasts() {
    let all = classes(json!({}));
    let told = |reason: &str| {
        session(json!({"status": {
            "phase": "Starting", "podName": "s-1",
            "conditions": [{
                "type": "Ready", "status": "False", "reason": reason, "message": "before",
                "lastTransitionTime": "2026-01-01T00:00:02Z",
            }],
        }}))
    };
    let placed = pod(
        json!({"spec": {"containers": [], "nodeName": "n1"}, "status": {"conditions": [
            {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:00:20Z"},
        ]}}),
    );
    let refused = pod(json!({"status": {"conditions": [
        {"type": "PodScheduled", "status": "False", "message": "0/1 nodes"},
    ]}}));
    for (session, pod, after, expected) in [
        (told("Starting"), &placed, 21, "wait 9"),
        (told("Starting"), &placed, 30, "report Starting Starting Ready"),
        (told("Starting"), &refused, 21, "report Starting Unschedulable Ready"),
        (told("Unschedulable"), &placed, 21, "report Starting Starting Ready"),
    ] {
        assert_eq!(next(Some(&session), Some(pod), &all, 0, after), expected);
    }
}

#[test]
fn services_that_are_gone_are_made_again_while_the_session_lives() {
    let all = classes(json!({}));
    let (fresh, up) = (session(json!({})), pod(json!({"status": {"podIP": "10.0.0.1"}})));
    let over = session(json!({"status": {"phase": "Completed"}}));
    let now: Timestamp = "2026-01-01T00:00:09Z".parse().unwrap();
    let all = references(&all);
    let step = |session| {
        let services = Services { are_complete: false, own: false };
        decide(&Facts { services, ..facts(Some(session), Some(&up), &all, now) }, admit)
    };
    assert!(matches!(step(&fresh), Step::ApplyServices { .. }));
    assert!(matches!(step(&over), Step::DeletePod { .. }));
}

#[test]
fn a_last_step_that_rests_on_an_absence_says_on_which() {
    let all = classes(json!({}));
    let reported = session(json!({"status": {"phase": "Starting", "podName": "s-1"}}));
    let misplaced = session(json!({"spec": {"className": "mosaic"}}));
    let malformed = session(json!({"spec": {"capabilities": {"alwaysMatch": {"x": 1}}}}));
    let up = pod(json!({"status": {"podIP": "10.0.0.1"}}));
    let now: Timestamp = "2026-01-01T00:00:09Z".parse().unwrap();
    for (session, pod, expected) in [
        (None, Some(&up), Some(Absence::Session)),
        (Some(&reported), None, Some(Absence::Pod(PodRef::new("n", "s-1")))),
        (Some(&misplaced), None, Some(Absence::Class)),
        (Some(&malformed), None, None),
        (Some(&reported), Some(&up), None),
    ] {
        let all = references(&all);
        let facts = facts(session, pod, &all, now);
        assert_eq!(rests_on(&facts, &decide(&facts, admit)), expected);
    }
}

#[test]
fn what_has_been_said_is_not_said_again() {
    let all = classes(json!({}));
    let (fresh, blank) = (session(json!({})), pod(json!({})));
    let born: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let all = references(&all);
    let report = |session: &BrowserSession, now| match decide(
        &facts(Some(session), Some(&blank), &all, now),
        admit,
    ) {
        Step::Report { status, .. } => Some(*status),
        _ => None,
    };
    let status = report(&fresh, born + SignedDuration::from_secs(2)).unwrap();
    let told = BrowserSession { status: Some(status), ..fresh.clone() };
    assert_eq!(report(&told, born + SignedDuration::from_secs(3)), None);
}

#[test]
fn a_pod_that_went_unseen_leaves_its_word() {
    let now = "2026-01-01T00:00:09Z".parse().unwrap();
    let all = classes(json!({}));
    // A young session's status has no pod yet.
    for status in [json!({"phase": "Ready", "podName": "s-1"}), json!({"phase": "Pending"})] {
        let session = session(json!({"status": status}));
        let message = "the pod's node is gone".to_owned();
        let problem = Problem { reason: Reason::NodeLost, message };
        let tombstone = Tombstone { pod: PodRef::new("n", "s-1"), problem };
        let references = references(&all);
        let facts = facts(Some(&session), None, &references, now);
        let facts = Facts { tombstone: Some(&tombstone), ..facts };
        let Step::End { status: ended, .. } = decide(&facts, admit) else {
            panic!("it ends: {status}")
        };
        assert_eq!(ended.conditions[0].reason, "NodeLost");
    }
}

#[test]
fn a_session_that_cannot_be_read_ends_by_name_whatever_it_has() {
    let all = classes(json!({}));
    let unreadable = session(json!({"metadata": {"annotations": {
        "browser-operator.io/unreadable": "spec.capabilities is nested too deep to be read",
    }}}));
    let reachable = pod(json!({"status": {"phase": "Running", "podIP": "10.0.0.1"}}));
    for pod in [None, Some(&reachable)] {
        let references = references(&all);
        let now = "2026-01-01T00:00:01Z".parse().unwrap();
        let Step::End { status, pod: ended, .. } =
            decide(&facts(Some(&unreadable), pod, &references, now), admit)
        else {
            panic!("it does not end")
        };
        assert_eq!(status.conditions[0].reason, "FieldInvalid");
        assert!(status.conditions[0].message.contains("spec.capabilities"));
        assert_eq!(ended.is_some(), pod.is_some(), "no pod lives on");
    }
}

#[test]
fn a_pod_that_is_held_up_says_that_its_class_was_mended() {
    let all = classes(json!({}));
    let session = session(json!({}));
    let held_up = |revision: &str| {
        pod(json!({
            "metadata": {"annotations": {"browser-operator.io/class-revision": revision}},
            "status": {"phase": "Pending", "podIP": "10.0.0.1", "containerStatuses": [{
                "name": "browser", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
                "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}},
            }]},
        }))
    };
    let now = crate::build::revision(&all[0].spec, &all[0].spec.versions[0]);
    let references = references(&all);
    for (revision, after, has_changed) in [
        (now.as_str(), 10, false),
        ("old", 10, true),
        // It ends, and the record says so too.
        ("old", 700, true),
    ] {
        let pod = held_up(revision);
        let born: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let now = born + SignedDuration::from_secs(after);
        let step = decide(&facts(Some(&session), Some(&pod), &references, now), admit);
        let (Step::Report { status, .. } | Step::End { status, .. }) = step else {
            panic!("{step:?}")
        };
        let message = &status.conditions[0].message;
        assert!(message.contains("no such image"), "{message}");
        assert_eq!(message.contains("the class has changed"), has_changed, "{message}");
    }
}

#[test]
fn routes_are_given_once_for_each_generation_and_a_refusal_is_not_tried_again() {
    let up = pod(json!({"status": {"podIP": "10.0.0.1"}}));
    let all = classes(json!({}));
    let ready = |generation: i64, proxy: Value| {
        session(json!({"metadata": {"generation": generation}, "status": {
            "phase": "Ready", "podName": "s-1", "proxy": proxy, "conditions": [{
                "type": "Ready", "status": "True", "reason": "BrowserReady", "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }],
        }}))
    };
    for (generation, proxy, expected) in [
        (1, Value::Null, "wait"),
        (2, Value::Null, "route 10.0.0.1"),
        (2, json!({"generation": 2}), "wait"),
        (3, json!({"generation": 2}), "route 10.0.0.1"),
        (3, json!({"generation": 2, "refusedGeneration": 3}), "wait"),
        (4, json!({"generation": 2, "refusedGeneration": 3}), "route 10.0.0.1"),
    ] {
        let session = ready(generation, proxy.clone());
        assert_eq!(next(Some(&session), Some(&up), &all, 0, 9), expected, "{generation} {proxy}");
    }
}

#[test]
fn a_refusal_keeps_the_routes_in_force_and_the_next_change_forgets_it() {
    let at = |generation: i64, proxy: Value| {
        session(json!({"metadata": {"generation": generation}, "status": {"proxy": proxy}}))
    };
    let problem = Problem { reason: Reason::FieldInvalid, message: "why".to_owned() };
    let refused = status::routed(&at(3, json!({"generation": 2})), Some(&problem)).proxy.unwrap();
    assert_eq!((refused.generation, refused.refused_generation), (2, Some(3)));
    assert_eq!(refused.message.as_deref(), Some("why"));
    let mended = at(4, serde_json::to_value(&refused).unwrap());
    let mended = status::routed(&mended, None).proxy.unwrap();
    assert_eq!((mended.generation, mended.refused_generation, mended.message), (4, None, None));
}

#[test]
fn a_secret_that_is_of_no_use_ends_a_session_before_its_pod_and_before_its_bind() {
    let all = classes(json!({}));
    let fresh = session(json!({}));
    let up = pod(json!({"status": {"podIP": "10.0.0.1"}}));
    let mut references = references(&all);
    let problem = Problem { reason: Reason::SecretUnusable, message: "no".to_owned() };
    references.credentials = Some(Err(problem.into()));
    for pod in [None, Some(&up)] {
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let step = decide(&facts(Some(&fresh), pod, &references, now), admit);
        let Step::End { status, .. } = step else { panic!("{step:?}") };
        assert_eq!(status.conditions[0].reason, "SecretUnusable");
    }
}

#[test]
fn a_session_waits_a_moment_for_what_its_call_brought() {
    let all = classes(json!({}));
    let fresh = session(json!({}));
    let up = pod(json!({"status": {"podIP": "10.0.0.1"}}));
    let mut references = references(&all);
    references.credentials = Some(Err(Unusable::NotBrought));
    let born: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    for pod in [None, Some(&up)] {
        let step = |after| {
            let now = born + SignedDuration::from_secs(after);
            decide(&facts(Some(&fresh), pod, &references, now), admit)
        };
        assert!(matches!(step(9), Step::Wait(Some(left)) if left == Duration::from_secs(1)));
        let Step::End { status, .. } = step(10) else { panic!("it ends") };
        assert_eq!(status.conditions[0].reason, "SecretUnusable");
    }
}

#[test]
fn what_a_call_brought_goes_after_its_session() {
    let all = classes(json!({}));
    let references = references(&all);
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    let ended = json!({"phase": "Completed", "conditions": [{
        "type": "Finished", "status": "True", "reason": "Released", "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }]});
    let over = session(json!({"spec": {"ttlSecondsAfterFinished": 0}, "status": ended}));
    let live = session(json!({"status": {"phase": "Ready"}}));
    let up = pod(json!({}));
    let step = |session, pod| {
        let facts = Facts { has_brought: true, ..facts(session, pod, &references, now) };
        let step = decide(&facts, admit);
        (matches!(step, Step::DeleteCredentials), rests_on(&facts, &step))
    };
    // Gone while nobody looked: the API server is asked whether it is.
    assert_eq!(step(None, None), (true, Some(Absence::Session)));
    assert_eq!(step(Some(&over), None), (true, None));
    assert!(!step(Some(&over), Some(&up)).0);
    assert!(!step(Some(&live), None).0);
}
