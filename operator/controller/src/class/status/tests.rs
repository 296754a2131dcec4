use super::*;
use serde_json::{Value, json};

fn class(fields: Value) -> BrowserClass {
    let mut spec = json!({"browserName": "chrome",
        "versions": [{"version": "156.0", "image": "c:156"}, {"version": "150", "image": "c:150"}]});
    spec.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    serde_json::from_value(json!({
        "apiVersion": "browser-operator.io/v1alpha1", "kind": "BrowserClass",
        "metadata": {"name": "c", "generation": 3}, "spec": spec,
    }))
    .unwrap()
}

fn started(version: &str) -> Observation {
    let found = FoundBrowser { browser_name: "chrome".into(), browser_version: version.to_owned() };
    Observation { found: Some(found), outcome: Some(Outcome::Started) }
}

fn failed(reason: Reason, message: &str) -> Observation {
    let problem = Problem { reason, message: message.to_owned() };
    let outcome = Some(Outcome::Failed { problem, namespace: "n".to_owned() });
    Observation { found: None, outcome }
}

/// Observations of the class's versions, in order.
fn seen(class: &BrowserClass, of: &[Option<Observation>]) -> OfClass {
    revisions(class)
        .into_iter()
        .zip(of)
        .filter_map(|(revision, seen)| Some((revision, seen.clone()?)))
        .collect()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn decide(class: &BrowserClass, of: &[Option<Observation>]) -> BrowserClassStatus {
    status(class, &seen(class, of), Counts::default(), at(1))
}

fn told(status: &BrowserClassStatus) -> (String, String, String) {
    let ready = &status.conditions[0];
    (ready.status.clone(), ready.reason.clone(), ready.message.clone())
}

#[test]
fn a_class_is_ready_as_far_as_it_was_tried() {
    let pull = || Some(failed(Reason::ImageUnavailable, "ErrImagePull: not found"));
    for (of, met, reason, words) in [
        (vec![], "Unknown", "Untried", "generation 3"),
        (vec![Some(started("156.0.8078.79"))], "True", "BrowsersStart", "1 of 2 versions"),
        (
            vec![Some(started("156.0.1")), Some(started("150.0.1"))],
            "True",
            "BrowsersStart",
            "2 of 2",
        ),
        (
            vec![pull()],
            "False",
            "ImageUnavailable",
            "version 156.0: ImageUnavailable: ErrImagePull",
        ),
        (vec![Some(started("156.0.1")), pull()], "False", "ImageUnavailable", "version 150: "),
        (
            vec![None, Some(started("156.0.1"))],
            "False",
            "BrowserMismatch",
            "version 150: BrowserMismatch: the class says version 150, its image c:150 has chrome 156.0.1",
        ),
        (
            vec![Some(failed(Reason::AgentIncompatible, "speaks 1")), pull()],
            "False",
            "AgentIncompatible",
            "; version 150: ImageUnavailable",
        ),
    ] {
        let (is_met, why, message) = told(&decide(&class(json!({})), &of));
        assert_eq!((is_met.as_str(), why.as_str()), (met, reason), "{message}");
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn what_no_session_could_use_is_said_before_one_comes() {
    for (fields, words) in [
        (
            json!({"podTemplate": {"spec": {"hostNetwork": true}}}),
            "spec.podTemplate.spec.hostNetwork",
        ),
        (json!({"headed": true}), "headed: true"),
        (
            json!({"podTemplate": {"spec": {"containers": [{"name": "proxy", "image": "p", "resources":
                {"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}}}]}}}),
            "spec.podTemplate.spec.containers[proxy].resources.requests.memory",
        ),
        (
            json!({"resources": {"requests": {"a.example/gpu": 2}, "limits": {"a.example/gpu": 1}}}),
            "spec.resources.requests.a.example/gpu",
        ),
    ] {
        let (met, reason, message) = told(&decide(&class(fields), &[]));
        assert_eq!((met.as_str(), reason.as_str()), ("False", "ClassUnusable"));
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn a_class_without_a_version_is_what_its_image_says() {
    let class = class(json!({"versions": [{"image": "c:latest"}]}));
    let status = decide(&class, &[Some(started("156.0.1"))]);
    assert_eq!(told(&status).0, "True");
    assert_eq!(status.versions[0].found.as_ref().unwrap().browser_version, "156.0.1");
    let firefox = FoundBrowser { browser_name: "firefox".into(), browser_version: "153".into() };
    let other = Observation { found: Some(firefox), outcome: Some(Outcome::Started) };
    let (met, reason, message) = told(&decide(&class, &[Some(other)]));
    assert_eq!((met.as_str(), reason.as_str()), ("False", "BrowserMismatch"));
    assert!(message.contains("the class says browserName chrome"), "{message}");
}

#[test]
fn what_was_written_counts_for_a_process_that_has_seen_nothing() {
    let mut class = class(json!({}));
    let pull = Some(failed(Reason::ImageUnavailable, "ErrImagePull: not found"));
    class.status = Some(decide(&class, &[pull, Some(started("156.0.1"))]));
    assert_eq!(class.status.as_ref(), Some(&decide(&class, &[])), "it stays as it was");
    // The wrong version is mended in the class: no browser has to be tried again.
    class.spec.versions[1].version = "156".to_owned();
    let (_, reason, message) = told(&decide(&class, &[]));
    assert_eq!(reason, "ImageUnavailable");
    assert!(!message.contains("BrowserMismatch"), "{message}");
    let later = decide(&class, &[Some(started("156.0.2"))]);
    assert_eq!(told(&later).0, "True");
}

#[test]
fn a_class_that_makes_other_pods_is_tried_anew_and_says_since_when() {
    let mut class = class(json!({}));
    let pull = Some(failed(Reason::ImageUnavailable, "ErrImagePull: not found"));
    class.status = Some(decide(&class, &[pull, Some(started("150.0.1"))]));
    class.metadata.generation = Some(4);
    class.spec.capacity = Some(7);
    let kept = decide(&class, &[]);
    assert_eq!((kept.observed_generation, kept.capacity), (Some(4), Some(7)));
    assert_eq!(told(&kept).1, "ImageUnavailable", "another capacity mends no image");
    assert!(kept.versions.iter().all(|one| one.since_generation == 3));
    class.spec.versions[0].image = "c:157".to_owned();
    let mended = decide(&class, &[]);
    let since: Vec<i64> = mended.versions.iter().map(|one| one.since_generation).collect();
    assert_eq!(since, [4, 3]);
    assert_eq!(mended.versions[0].ready, Readiness::Unknown);
    assert_eq!(told(&mended).0, "True", "the other version has started");
}

#[test]
fn what_an_image_has_is_known_while_the_rest_of_the_class_changes() {
    let mut class = class(json!({"versions": [{"image": "c:latest"}]}));
    class.status = Some(decide(&class, &[Some(started("156.0.1"))]));
    class.spec.seccomp_profile = "other.json".to_owned();
    let changed = decide(&class, &[]);
    assert!(changed.versions[0].found.is_some());
    assert_eq!(changed.versions[0].ready, Readiness::Unknown);
}

#[test]
fn a_transition_time_moves_only_when_the_status_flips() {
    let mut class = class(json!({}));
    class.status = Some(decide(&class, &[]));
    let seen_of = |class: &BrowserClass, one: Observation| seen(class, &[Some(one)]);
    let same = status(&class, &OfClass::new(), Counts { live: 2, waiting: 5 }, at(9));
    assert_eq!(same.conditions, class.status.as_ref().unwrap().conditions);
    assert_eq!((same.live, same.waiting), (2, 5));
    let flipped = status(&class, &seen_of(&class, started("156.0.1")), Counts::default(), at(9));
    assert_eq!(flipped.conditions[0].last_transition_time, Time(at(9)));
}

#[test]
fn a_class_that_is_seen_for_the_first_time_has_a_time() {
    let mut class = class(json!({}));
    class.status = serde_json::from_value(json!({"conditions": [{
        "type": "Ready", "status": "Unknown", "reason": "Pending", "message": "m",
        "lastTransitionTime": "1970-01-01T00:00:00Z",
    }]}))
    .unwrap();
    let seen = status(&class, &OfClass::new(), Counts::default(), at(9));
    assert_eq!(seen.conditions[0].last_transition_time, Time(at(9)));
}

#[test]
fn a_missing_secret_is_named() {
    let class = class(json!({"imagePullSecrets": [{"name": "registry"}]}));
    let denied = failed(Reason::ImageUnavailable, "ErrImagePull: authorization failed");
    let (_, _, message) = told(&decide(&class, &[Some(denied)]));
    assert!(message.contains("seen in namespace n"), "{message}");
    assert!(message.contains("the class's imagePullSecrets: registry"), "{message}");
}

#[test]
fn a_full_cluster_after_a_restart_is_no_fault_of_the_class() {
    let mut class = class(json!({}));
    class.status = Some(decide(&class, &[Some(started("156.0.1"))]));
    let full = failed(Reason::Unschedulable, "0/1 nodes");
    assert_eq!(told(&decide(&class, &[Some(full)])).0, "True");
}

#[test]
fn a_pod_knows_whether_its_class_still_makes_such_pods() {
    let mut class = class(json!({}));
    let made_of = |revision: Option<&str>| -> Pod {
        let annotations = json!({"browser-operator.io/class-revision": revision});
        let annotations = if revision.is_some() { annotations } else { json!({}) };
        serde_json::from_value(json!({"metadata": {"name": "p", "annotations": annotations}}))
            .unwrap()
    };
    let pod = made_of(Some(&revisions(&class)[1]));
    assert_eq!(version_of(&class, &pod).unwrap().image, "c:150");
    assert_eq!(changed_since(&pod, Some(&class)), None);
    assert!(changed_since(&pod, None).unwrap().contains("the class is gone"));
    class.spec.versions[1].image = "c:151".to_owned();
    assert!(changed_since(&pod, Some(&class)).unwrap().contains("the class has changed"));
    // One of an operator of before says nothing.
    assert_eq!(changed_since(&made_of(None), Some(&class)), None);
}
