//! Reads a pod's status: how far it is, what holds it up, why it ended.

use std::net::IpAddr;

use agent_api::End;
use crds::Reason;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, Pod};

use super::{
    AGENT, BROWSER_CONTAINER,
    problem::Problem,
    start::{On, Start, container, start},
};
use crate::shortened::shortened;

/// A pod, as far as its session is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observed {
    /// Its agent cannot be asked yet.
    Starting(Start),
    /// It has an address, and its agent can be asked.
    Reachable { ip: IpAddr },
    /// It has ended, or is being taken away.
    Ended(Problem),
}

fn problem(reason: Reason, message: impl Into<String>) -> Problem {
    Problem { reason, message: message.into() }
}

pub fn observe(pod: &Pod) -> Observed {
    if let Some(problem) = ended(pod, pod.metadata.deletion_timestamp.is_some()) {
        return Observed::Ended(problem);
    }
    let start = start(pod);
    match address(pod) {
        Some(ip) if !start.is_held_up => Observed::Reachable { ip },
        _ => Observed::Starting(start),
    }
}

/// Why a pod has ended that is gone, as it was when it went.
pub fn observe_gone(pod: &Pod) -> Option<Problem> {
    ended(pod, true)
}

/// The address of an agent that may still be told something, whatever becomes of its pod.
pub fn live_address(pod: &Pod) -> Option<IpAddr> {
    let status = pod.status.as_ref()?;
    let has_ended = matches!(status.phase.as_deref(), Some("Failed" | "Succeeded"))
        || container(pod).is_some_and(|c| c.state.as_ref().is_some_and(|s| s.terminated.is_some()));
    if has_ended { None } else { address(pod) }
}

fn address(pod: &Pod) -> Option<IpAddr> {
    let status = pod.status.as_ref()?;
    // The first of a cluster with two families is its own; podIP repeats it.
    let first = || status.pod_ips.iter().flatten().find_map(|ip| ip.ip.parse().ok());
    status.pod_ip.as_deref().and_then(|ip| ip.parse().ok()).or_else(first)
}

fn ended(pod: &Pod, is_deleted: bool) -> Option<Problem> {
    let status = pod.status.as_ref();
    let has_ended =
        matches!(status.and_then(|status| status.phase.as_deref()), Some("Failed" | "Succeeded"));
    if let Some(terminated) = container(pod).and_then(|c| c.state.as_ref()?.terminated.as_ref()) {
        let termination = termination(pod, terminated);
        match termination.reason {
            // An agent that was only told to stop with its pod knows less than the pod does.
            Reason::PodDeleted => {}
            // One that was killed says nothing; why, stands in the pod when that has ended: the kubelet may evict it. A pod
            // with other containers may never end.
            Reason::AgentLost if !has_ended && !is_deleted && !has_others_running(pod) => {
                return None;
            }
            Reason::AgentLost if status.is_some_and(|status| status.reason.is_some()) => {}
            Reason::AgentLost if is_deleted || disruption(pod).is_some() => {}
            _ => return Some(termination),
        }
    }
    let reason = status.and_then(|status| status.reason.as_deref());
    let message = status.and_then(|status| status.message.clone()).unwrap_or_default();
    match reason {
        Some("Evicted") => return Some(problem(Reason::Evicted, message)),
        Some("DeadlineExceeded") => return Some(problem(Reason::TimedOut, message)),
        // The kubelet's graceful shutdown of its node.
        Some("Terminated" | "NodeShutdown" | "Shutdown") => {
            return Some(problem(Reason::NodeDrained, message));
        }
        Some("NodeLost") => return Some(problem(Reason::NodeLost, message)),
        _ => {}
    }
    if !has_ended && !is_deleted {
        return None;
    }
    if let Some(disrupted) = disruption(pod) {
        return Some(disrupted);
    }
    if is_deleted {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        let message =
            format!("the browser's pod {name}{} was deleted, not by the operator", On(pod));
        return Some(problem(Reason::PodDeleted, message));
    }
    Some(match reason {
        // The kubelet has no room for what the scheduler has sent it, such as OutOfcpu; no container was made.
        Some(reason) if container(pod).is_none() => {
            let message = format!("the pod was refused{}: {reason}: {message}", On(pod));
            problem(Reason::Unschedulable, message)
        }
        _ => match container(pod).and_then(|c| c.state.as_ref()?.terminated.as_ref()) {
            Some(terminated) => match termination(pod, terminated) {
                Problem { reason: Reason::PodDeleted, .. } => signalled(pod),
                termination => termination,
            },
            None => problem(Reason::AgentLost, format!("the pod ended{}: {message}", On(pod))),
        },
    })
}

/// Who takes the pod away, if it says so (Kubernetes, "Pod disruption conditions").
fn disruption(pod: &Pod) -> Option<Problem> {
    let condition = pod
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten())
        .find(|c| c.type_ == "DisruptionTarget" && c.status == "True")?;
    let said = condition.message.as_deref().unwrap_or_default();
    Some(match condition.reason.as_deref()? {
        "EvictionByEvictionAPI" => problem(
            Reason::NodeDrained,
            format!("the pod was evicted{}, as when its node is drained: {said}", On(pod)),
        ),
        "DeletionByPodGC" => {
            problem(Reason::NodeLost, format!("the pod's node is gone{}: {said}", On(pod)))
        }
        "DeletionByTaintManager" => problem(
            Reason::NodeLost,
            format!("the pod's node does not answer, or was tainted NoExecute{}: {said}", On(pod)),
        ),
        "PreemptionByScheduler" | "TerminationByKubelet" => {
            problem(Reason::Evicted, said.to_owned())
        }
        _ => return None,
    })
}

fn termination(pod: &Pod, terminated: &ContainerStateTerminated) -> Problem {
    if terminated.reason.as_deref() == Some("OOMKilled") {
        return problem(Reason::OutOfMemory, out_of_memory(pod));
    }
    let text = terminated.message.as_deref().unwrap_or_default();
    match End::from_termination_message(text) {
        Some(End { reason, message }) => problem(reason, message),
        None => without_a_word(pod, terminated, text),
    }
}

/// The agent was told to stop, but its pod was neither deleted nor evicted: whatever runs beside it may signal it.
fn signalled(pod: &Pod) -> Problem {
    let message = format!(
        "the agent{} was sent SIGTERM, and nobody deleted or evicted its pod: a process in the container did, or the node",
        On(pod)
    );
    problem(Reason::AgentLost, message)
}

fn out_of_memory(pod: &Pod) -> String {
    let resources = container(pod).and_then(|container| container.resources.as_ref());
    let limit = resources.and_then(|resources| resources.limits.as_ref()?.get("memory"));
    let limit = limit.map(|limit| format!(" of {}", limit.0)).unwrap_or_default();
    format!("the browser's container went over its memory limit{limit}")
}

/// The most of what a program that is not our agent leaves as its last word, in bytes.
const MAX_FOREIGN_WORD: usize = 1024;

/// A container that ended before its agent ran, or under it.
fn without_a_word(pod: &Pod, terminated: &ContainerStateTerminated, text: &str) -> Problem {
    let code = terminated.exit_code;
    let text = shortened(text, MAX_FOREIGN_WORD);
    let image = container(pod).map(|container| container.image.as_str()).unwrap_or_default();
    let of = format!("of image {image}{}", On(pod));
    let said = match (terminated.reason.as_deref().unwrap_or_default(), text.trim()) {
        ("", "") => String::new(),
        (reason, "") => format!(" ({reason})"),
        ("", text) => format!(": {text}"),
        (reason, text) => format!(" ({reason}): {text}"),
    };
    match terminated.reason.as_deref() {
        // The kubelet's words for a container that no process came of (container runtimes: containerd, CRI-O, dockershim).
        Some("StartError" | "ContainerCannotRun") => {
            let what = format!("the container {of} did not start, with exit code {code}{said}");
            let message = if text.contains(AGENT) {
                format!("{what}; the image must have the agent at {AGENT}")
            } else {
                what
            };
            problem(Reason::ContainerUnavailable, message)
        }
        _ => problem(
            Reason::AgentLost,
            format!("the agent {of} ended without a word, with exit code {code}{said}"),
        ),
    }
}

/// Whether containers run beside the browser's, such as one that a mesh has injected.
fn has_others_running(pod: &Pod) -> bool {
    let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    statuses
        .filter(|status| status.name != BROWSER_CONTAINER)
        .any(|status| status.state.as_ref().is_some_and(|state| state.running.is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pod(status: Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "p"}, "status": status})).unwrap()
    }

    fn terminated(state: Value) -> Value {
        json!({"phase": "Failed", "podIP": "10.0.0.1",
            "containerStatuses": [status_of(json!({"terminated": state}))]})
    }

    fn waiting(reason: &str, message: &str) -> Value {
        json!({"phase": "Pending", "podIP": "10.0.0.1", "containerStatuses": [
            status_of(json!({"waiting": {"reason": reason, "message": message}})),
        ]})
    }

    fn status_of(state: Value) -> Value {
        json!({"name": "browser", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": state})
    }

    #[test]
    fn a_pod_says_how_far_it_is_and_what_holds_it_up() {
        let ip = "10.0.0.1".parse().unwrap();
        for (status, expected) in [
            (json!({}), Err((Reason::Starting, "the scheduler has not placed the pod yet"))),
            (json!({"phase": "Running", "podIP": "10.0.0.1"}), Ok(ip)),
            (
                json!({"phase": "Running", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]}),
                Ok(ip),
            ),
            (waiting("ContainerCreating", ""), Ok(ip)),
            (
                waiting("ImagePullBackOff", "no such image"),
                Err((Reason::ImageUnavailable, "ImagePullBackOff of image i: no such image")),
            ),
            (
                waiting("CreateContainerError", "no seccomp profile"),
                Err((
                    Reason::ContainerUnavailable,
                    "CreateContainerError of image i: no seccomp profile",
                )),
            ),
            (
                json!({"phase": "Pending", "conditions": [{
                    "type": "PodScheduled", "status": "False", "message": "0/1 nodes are available",
                }]}),
                Err((Reason::Unschedulable, "0/1 nodes are available")),
            ),
        ] {
            let found = match observe(&pod(status.clone())) {
                Observed::Reachable { ip } => Ok(ip),
                Observed::Starting(start) => Err(start.report()),
                Observed::Ended(problem) => panic!("it has ended: {problem:?}"),
            };
            let expected = expected.map_err(|(reason, message)| problem(reason, message));
            assert_eq!(found, expected, "{status}");
        }
    }

    #[test]
    fn a_pod_that_ended_says_why() {
        let word = json!({"reason": "IdleTimeout", "message": "too long"}).to_string();
        for (status, reason) in [
            (terminated(json!({"exitCode": 0, "message": word})), Reason::IdleTimeout),
            (terminated(json!({"exitCode": 137, "reason": "OOMKilled"})), Reason::OutOfMemory),
            (terminated(json!({"exitCode": 1, "message": "panicked"})), Reason::AgentLost),
            (
                terminated(
                    json!({"exitCode": 128, "reason": "StartError", "message": "no such file"}),
                ),
                Reason::ContainerUnavailable,
            ),
            (
                terminated(json!({"exitCode": 0, "message": "{\"reason\":\"Why\"}"})),
                Reason::AgentLost,
            ),
            (json!({"phase": "Failed", "reason": "Evicted", "message": "disk"}), Reason::Evicted),
            (json!({"phase": "Failed", "reason": "DeadlineExceeded"}), Reason::TimedOut),
            (json!({"phase": "Succeeded"}), Reason::AgentLost),
            (
                json!({"phase": "Failed", "reason": "OutOfcpu", "message": "m"}),
                Reason::Unschedulable,
            ),
            (
                json!({"phase": "Failed", "reason": "Terminated", "message": "m"}),
                Reason::NodeDrained,
            ),
            (disrupted("DeletionByPodGC"), Reason::NodeLost),
        ] {
            let Observed::Ended(problem) = observe(&pod(status.clone())) else {
                panic!("{status} has not ended")
            };
            assert_eq!(problem.reason, reason, "{status}");
        }
    }

    #[test]
    fn an_agent_that_was_killed_is_explained_by_its_pod_when_that_has_ended() {
        let killed = || terminated(json!({"exitCode": 137, "reason": "Error"}));
        let with = |fields: Value| {
            let mut status = killed();
            status.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            pod(status)
        };
        let reason = |pod: &Pod| match observe(pod) {
            Observed::Ended(problem) => Some(problem.reason),
            _ => None,
        };
        assert_eq!(reason(&with(json!({"phase": "Running"}))), None);
        assert_eq!(reason(&with(json!({}))), Some(Reason::AgentLost));
        assert_eq!(reason(&with(json!({"reason": "Evicted"}))), Some(Reason::Evicted));
        let mut deleted = with(json!({"phase": "Running"}));
        deleted.metadata.deletion_timestamp =
            serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
        assert_eq!(reason(&deleted), Some(Reason::PodDeleted));
    }

    #[test]
    fn an_agent_that_was_told_to_stop_is_not_taken_for_a_deletion_of_its_pod() {
        let told = json!({"reason": "PodDeleted", "message": "the pod was told to stop"});
        let state = json!({"exitCode": 0, "reason": "Completed", "message": told.to_string()});
        let mut stopped = pod(terminated(state.clone()));
        let Observed::Ended(problem) = observe(&stopped) else { panic!("it has ended") };
        assert_eq!(problem.reason, Reason::AgentLost);
        assert!(problem.message.contains("SIGTERM"), "{}", problem.message);
        let mut running = terminated(state);
        running["phase"] = json!("Running");
        assert!(!matches!(observe(&pod(running)), Observed::Ended(_)));
        stopped.metadata.deletion_timestamp =
            serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
        let Observed::Ended(problem) = observe(&stopped) else { panic!("it has ended") };
        assert_eq!(problem.reason, Reason::PodDeleted);
    }

    #[test]
    fn the_browsers_own_container_decides_where_others_keep_the_pod_running() {
        let sidecar = json!({"name": "proxy", "image": "i", "imageID": "", "ready": true, "restartCount": 0,
            "state": {"running": {}}});
        let word = json!({"reason": "IdleTimeout"}).to_string();
        for (state, reason) in [
            (json!({"exitCode": 0, "message": word}), Reason::IdleTimeout),
            (json!({"exitCode": 137, "reason": "Error"}), Reason::AgentLost),
        ] {
            let mut status = terminated(state);
            status["phase"] = json!("Running");
            status["containerStatuses"].as_array_mut().unwrap().push(sidecar.clone());
            let Observed::Ended(problem) = observe(&pod(status.clone())) else {
                panic!("{status} has not ended")
            };
            assert_eq!(problem.reason, reason);
        }
    }

    #[test]
    fn an_end_names_the_pod_its_node_its_image_and_its_limit() {
        let on_node = |status: Value| -> Pod {
            serde_json::from_value(json!({
                "metadata": {"name": "p"}, "spec": {"containers": [], "nodeName": "n1"}, "status": status,
            }))
            .unwrap()
        };
        let mut deleted = on_node(json!({"phase": "Running"}));
        deleted.metadata.deletion_timestamp =
            serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
        let mut killed = terminated(json!({"exitCode": 137, "reason": "OOMKilled"}));
        killed["containerStatuses"][0]["resources"] = json!({"limits": {"memory": "2Gi"}});
        let silent =
            terminated(json!({"exitCode": 101, "reason": "Error", "message": "panicked at x"}));
        for (pod, words) in [
            (deleted, "the browser's pod p on node n1 was deleted, not by the operator"),
            (on_node(killed), "memory limit of 2Gi"),
            (
                on_node(silent),
                "the agent of image i on node n1 ended without a word, with exit code 101 (Error): panicked at x",
            ),
            (on_node(disrupted("DeletionByPodGC")), "on node n1"),
            (on_node(disrupted("DeletionByTaintManager")), "on node n1"),
            (on_node(disrupted("EvictionByEvictionAPI")), "on node n1"),
        ] {
            let Observed::Ended(problem) = observe(&pod) else { panic!("{pod:?} has not ended") };
            assert!(problem.message.contains(words), "{problem:?}");
        }
    }

    #[test]
    fn a_program_that_is_no_agent_is_quoted() {
        let state = json!({"exitCode": 128, "reason": "StartError", "message": format!("exec: \"{AGENT}\": not found")});
        let Observed::Ended(problem) = observe(&pod(terminated(state))) else { panic!("it ended") };
        assert_eq!(
            problem.message,
            format!(
                "the container of image i did not start, with exit code 128 (StartError): exec: \"{AGENT}\": \
                 not found; the image must have the agent at {AGENT}"
            )
        );
    }

    fn disrupted(by: &str) -> Value {
        json!({"phase": "Failed", "conditions": [{
            "type": "DisruptionTarget", "status": "True", "reason": by, "message": "m",
        }]})
    }

    #[test]
    fn a_pod_that_is_taken_away_says_by_whom() {
        for (by, reason) in [
            ("EvictionByEvictionAPI", Reason::NodeDrained),
            ("DeletionByTaintManager", Reason::NodeLost),
            ("PreemptionByScheduler", Reason::Evicted),
            ("TerminationByKubelet", Reason::Evicted),
            ("SomethingNew", Reason::PodDeleted),
        ] {
            let mut status = disrupted(by);
            status["phase"] = json!("Running");
            status["podIP"] = json!("10.0.0.1");
            let mut taken = pod(status);
            assert!(
                matches!(observe(&taken), Observed::Reachable { .. }),
                "it is not being deleted"
            );
            taken.metadata.deletion_timestamp =
                serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
            let Observed::Ended(problem) = observe(&taken) else { panic!("it has not ended") };
            assert_eq!(problem.reason, reason, "{by}");
        }
    }

    #[test]
    fn a_pod_that_is_deleted_has_ended_whatever_its_agent_heard() {
        let word = json!({"reason": "PodDeleted"}).to_string();
        let mut deleted = pod(terminated(json!({"exitCode": 0, "message": word})));
        deleted.metadata.deletion_timestamp =
            serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
        let Observed::Ended(problem) = observe(&deleted) else { panic!("it has not ended") };
        assert_eq!(problem.reason, Reason::PodDeleted);
    }
}
