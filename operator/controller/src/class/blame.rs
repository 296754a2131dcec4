//! Which failures are a class's doing. Pure.

use crds::{BrowserSession, BrowserSessionSpec, Reason};
use k8s_openapi::api::core::v1::Pod;

use crate::{
    build::stage::{Stage, stages},
    pods::{Observed, Problem, observe},
};

/// What holds up a pod that its class is to blame for, whatever its session asked for.
pub fn held_up(pod: &Pod) -> Option<Problem> {
    match observe(pod) {
        Observed::Starting(start) if start.is_held_up => {
            Some(start.report()).filter(|problem| is_the_images(problem.reason))
        }
        _ => None,
    }
}

/// Whether a class is to blame for the end of a session.
pub fn is_the_classes(session: &BrowserSession, reason: Reason) -> bool {
    let has_started = session.status.as_ref().is_some_and(|status| status.started_at.is_some());
    !has_started
        && match reason {
            Reason::Unschedulable => true,
            Reason::StartTimedOut
            | Reason::SessionNotCreated
            | Reason::DriverCrashed
            | Reason::BrowserCrashed
            | Reason::OutOfMemory
            | Reason::AgentLost => is_plain(&session.spec),
            reason => is_the_images(reason),
        }
}

fn is_the_images(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::ImageUnavailable | Reason::ContainerUnavailable | Reason::AgentIncompatible
    )
}

/// Whether a session asks for nothing that could keep a sound browser from starting.
fn is_plain(spec: &BrowserSessionSpec) -> bool {
    stages(spec).iter().all(|(path, stage)| {
        *stage != Stage::Relaunch && path != "features" && path != "newSessionParameters"
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn session(spec: Value, status: Value) -> BrowserSession {
        serde_json::from_value(json!({
            "apiVersion": "browser-operator.io/v1alpha1", "kind": "BrowserSession",
            "metadata": {"name": "s", "namespace": "n", "uid": "u"},
            "spec": spec, "status": status,
        }))
        .unwrap()
    }

    #[test]
    fn a_class_answers_for_what_no_session_could_have_caused() {
        let plain = || session(json!({"className": "c", "timeoutSeconds": 60}), json!(null));
        let with_options = || {
            let options = json!({"goog:chromeOptions": {"args": ["--renderer-startup-dialog"]}});
            session(json!({"capabilities": {"alwaysMatch": options}}), json!(null))
        };
        let with_parameters = || session(json!({"newSessionParameters": {"a": 1}}), json!(null));
        let started = || session(json!({}), json!({"startedAt": "2026-01-01T00:00:00Z"}));
        for (reason, session, is_to_blame) in [
            (Reason::ImageUnavailable, plain(), true),
            (Reason::ImageUnavailable, with_options(), true),
            (Reason::ContainerUnavailable, with_options(), true),
            (Reason::AgentIncompatible, plain(), true),
            (Reason::Unschedulable, plain(), true),
            (Reason::StartTimedOut, plain(), true),
            (Reason::StartTimedOut, with_options(), false),
            (Reason::SessionNotCreated, with_options(), false),
            (Reason::SessionNotCreated, with_parameters(), false),
            (Reason::DriverCrashed, plain(), true),
            (Reason::AgentLost, plain(), true),
            (Reason::AgentLost, started(), false),
            (Reason::OutOfMemory, started(), false),
            (Reason::ClientGaveUp, plain(), false),
            (Reason::Deleted, plain(), false),
            (Reason::NodeLost, plain(), false),
            (Reason::CapabilitiesNotMatched, plain(), false),
        ] {
            assert_eq!(is_the_classes(&session, reason), is_to_blame, "{reason} {session:?}");
        }
    }

    #[test]
    fn a_pod_that_waits_for_its_image_or_container_says_so() {
        let of = |reason: &str| -> Option<Reason> {
            let pod: Pod = serde_json::from_value(json!({
                "metadata": {"name": "p", "namespace": "n"},
                "status": {"phase": "Pending", "podIP": "10.0.0.1", "containerStatuses": [{
                    "name": "browser", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
                    "state": {"waiting": {"reason": reason, "message": "m"}},
                }]},
            }))
            .unwrap();
            held_up(&pod).map(|problem| problem.reason)
        };
        assert_eq!(of("ErrImagePull"), Some(Reason::ImageUnavailable));
        assert_eq!(of("CreateContainerError"), Some(Reason::ContainerUnavailable));
        assert_eq!(of("ContainerCreating"), None);
        let unscheduled: Pod = serde_json::from_value(json!({
            "metadata": {"name": "p"}, "status": {"conditions": [
                {"type": "PodScheduled", "status": "False", "message": "0/1 nodes"},
            ]},
        }))
        .unwrap();
        assert_eq!(held_up(&unscheduled), None, "a full cluster may have room soon");
    }
}
