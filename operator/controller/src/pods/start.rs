//! How far a pod's start is, whom it waits for, and how long it may. Pure.

use std::{fmt, time::Duration};

use crds::{BrowserClass, Reason, names};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodCondition};
use kube::ResourceExt;

use super::{BROWSER_CONTAINER, problem::Problem};

/// Whom a pod waits for that has not ended, and is not bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The scheduler has no node for it.
    Node,
    /// Its node's kubelet has not taken it.
    Kubelet,
    /// The kubelet makes its sandbox and network, or its other containers come first.
    Sandbox,
    /// The kubelet pulls its image and makes the container.
    Image,
    /// The kubelet has the image, and cannot make the container of it.
    Container,
    /// The container runs: the agent starts the browser.
    Agent,
}

/// How far a pod's start is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    pub stage: Stage,
    /// Something holds it up that does not mend itself by waiting alone.
    pub is_held_up: bool,
    /// In the words of scheduler or kubelet, where they have said something.
    pub message: String,
    /// When this stage began; `None` where nobody says so.
    pub since: Option<Timestamp>,
    /// When its container could start; `None` while it cannot.
    pub could_start: Option<Timestamp>,
}

impl Start {
    /// What its session's status says meanwhile.
    pub fn report(self) -> Problem {
        let reason = if self.is_held_up { self.stage.reason() } else { Reason::Starting };
        Problem { reason, message: self.message }
    }
}

impl Stage {
    /// Why a session ends whose pod stays there.
    fn reason(self) -> Reason {
        match self {
            Self::Node => Reason::Unschedulable,
            Self::Kubelet => Reason::NodeUnresponsive,
            Self::Image => Reason::ImageUnavailable,
            Self::Sandbox | Self::Container => Reason::ContainerUnavailable,
            Self::Agent => Reason::StartTimedOut,
        }
    }
}

/// A class's limits of a start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartLimits {
    /// The class's name.
    class: String,
    /// From the pod's creation until its container could start.
    schedule_seconds: i32,
    /// From then on.
    start_seconds: i32,
}

/// Those of a class that is gone.
const DEFAULT_SCHEDULE_SECONDS: i32 = 600;
const DEFAULT_START_SECONDS: i32 = 60;

impl StartLimits {
    pub fn of(pod: &Pod, classes: &[BrowserClass]) -> Self {
        let name = pod.labels().get(names::CLASS_LABEL).cloned().unwrap_or_default();
        let class = classes.iter().find(|class| class.name_any() == name);
        Self {
            class: name,
            schedule_seconds: class
                .map_or(DEFAULT_SCHEDULE_SECONDS, |class| class.spec.schedule_timeout_seconds),
            start_seconds: class
                .map_or(DEFAULT_START_SECONDS, |class| class.spec.start_timeout_seconds),
        }
    }

    /// What is left to a pod.
    ///
    /// # Errors
    /// Nothing is left, and why.
    pub fn left(&self, pod: &Pod, now: Timestamp) -> Result<Duration, Problem> {
        let start = start(pod);
        let (field, seconds, begin) = match start.could_start {
            Some(begin) => ("startTimeoutSeconds", self.start_seconds, begin),
            None => ("scheduleTimeoutSeconds", self.schedule_seconds, created(pod).unwrap_or(now)),
        };
        let end = begin + SignedDuration::from_secs(seconds.into());
        let left = Duration::try_from(end.duration_since(now)).ok();
        left.filter(|left| !left.is_zero()).ok_or_else(|| Problem {
            reason: start.stage.reason(),
            message: format!(
                "not ready within {field}: {seconds} of class {}: {}",
                self.class, start.message
            ),
        })
    }
}

/// How far a pod is that has not ended.
pub fn start(pod: &Pod) -> Start {
    let waits = |stage, is_held_up, message: String| Start {
        stage,
        is_held_up,
        message,
        since: began(pod, stage),
        could_start: None,
    };
    if let Some(waiting) = unscheduled(pod) {
        return waits(
            Stage::Node,
            waiting.is_some(),
            waiting.unwrap_or_else(|| "the scheduler has not placed the pod yet".to_owned()),
        );
    }
    let node = On(pod);
    let status = pod.status.as_ref();
    let Some(container) = container(pod) else {
        let is_taken = status.is_some_and(|s| s.start_time.is_some() || s.pod_ip.is_some());
        return if is_taken {
            waits(Stage::Sandbox, false, format!("the kubelet prepares the pod{node}"))
        } else {
            waits(Stage::Kubelet, false, format!("the kubelet has not taken the pod{node} yet"))
        };
    };
    let state = container.state.as_ref();
    if let Some(running) = state.and_then(|state| state.running.as_ref()) {
        let begun = running.started_at.as_ref().map(|at| at.0).or_else(|| created(pod));
        return Start {
            stage: Stage::Agent,
            is_held_up: false,
            message: format!("the container runs{node}, and its agent starts the browser"),
            since: begun,
            could_start: begun,
        };
    }
    let waiting = state.and_then(|state| state.waiting.as_ref());
    let said = waiting.and_then(|waiting| waiting.reason.as_deref()).unwrap_or_default();
    let message = match waiting.and_then(|waiting| waiting.message.as_deref()) {
        None | Some("") => format!("{said} of image {}{node}", container.image),
        Some(message) => format!("{said} of image {}{node}: {message}", container.image),
    };
    match said {
        "ErrImagePull"
        | "ImagePullBackOff"
        | "ErrImageNeverPull"
        | "InvalidImageName"
        | "ImageInspectError"
        | "RegistryUnavailable" => waits(Stage::Image, true, message),
        "PodInitializing" => {
            waits(Stage::Sandbox, false, format!("the pod's init containers run{node}"))
        }
        "" | "ContainerCreating" if has_sandbox(pod) => waits(
            Stage::Image,
            false,
            format!("the kubelet pulls the image {} or makes its container{node}", container.image),
        ),
        "" | "ContainerCreating" => {
            waits(Stage::Sandbox, false, format!("the kubelet makes the pod's sandbox{node}"))
        }
        _ => Start {
            stage: Stage::Container,
            is_held_up: true,
            message,
            since: began(pod, Stage::Container),
            could_start: sandbox_since(pod).or_else(|| created(pod)),
        },
    }
}

/// When a pod came to a stage, by the conditions of scheduler and kubelet, whose times are cut to seconds.
fn began(pod: &Pod, stage: Stage) -> Option<Timestamp> {
    let scheduled = || {
        let scheduled = condition(pod, "PodScheduled").filter(|c| c.status == "True")?;
        scheduled.last_transition_time.as_ref().map(|at| at.0)
    };
    let taken = || Some(pod.status.as_ref()?.start_time.as_ref()?.0);
    let known = match stage {
        Stage::Node => None,
        Stage::Kubelet => scheduled(),
        Stage::Sandbox => taken().or_else(scheduled),
        Stage::Image | Stage::Container | Stage::Agent => {
            sandbox_since(pod).or_else(taken).or_else(scheduled)
        }
    };
    known.or_else(|| created(pod))
}

/// On which node, for people.
pub(super) struct On<'a>(pub &'a Pod);

impl fmt::Display for On<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) {
            Some(node) => write!(f, " on node {node}"),
            None => Ok(()),
        }
    }
}

/// A pod without a node, and what the scheduler says of it.
fn unscheduled(pod: &Pod) -> Option<Option<String>> {
    let condition = condition(pod, "PodScheduled");
    let is_placed = condition.is_some_and(|c| c.status == "True")
        || pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some())
        || pod
            .status
            .as_ref()
            .is_some_and(|s| s.pod_ip.is_some() || s.container_statuses.is_some());
    match condition.filter(|c| c.status == "False") {
        Some(condition) => Some(Some(condition.message.clone().unwrap_or_default())),
        None if is_placed => None,
        None => Some(None),
    }
}

fn created(pod: &Pod) -> Option<Timestamp> {
    pod.creation_timestamp().map(|at| at.0)
}

fn has_sandbox(pod: &Pod) -> bool {
    sandbox_since(pod).is_some() || pod.status.as_ref().is_some_and(|s| s.pod_ip.is_some())
}

fn sandbox_since(pod: &Pod) -> Option<Timestamp> {
    let ready = condition(pod, "PodReadyToStartContainers").filter(|c| c.status == "True")?;
    ready.last_transition_time.as_ref().map(|at| at.0)
}

fn condition<'a>(pod: &'a Pod, type_: &str) -> Option<&'a PodCondition> {
    pod.status.as_ref()?.conditions.iter().flatten().find(|c| c.type_ == type_)
}

/// The browser's own container.
pub(super) fn container(pod: &Pod) -> Option<&ContainerStatus> {
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    statuses.iter().find(|status| status.name == BROWSER_CONTAINER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn limits() -> StartLimits {
        StartLimits { class: "c1".to_owned(), schedule_seconds: 600, start_seconds: 60 }
    }

    fn pod(node: Option<&str>, status: Value) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "p", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"containers": [], "nodeName": node}, "status": status,
        }))
        .unwrap()
    }

    fn of(state: Value) -> Value {
        json!([{"name": "browser", "image": "i:1", "imageID": "", "ready": false, "restartCount": 0, "state": state}])
    }

    fn waiting(reason: &str, message: &str) -> Value {
        of(json!({"waiting": {"reason": reason, "message": message}}))
    }

    /// The reasons meanwhile and at the end, and after how many seconds that is.
    fn told(pod: &Pod) -> (Reason, Reason, i64) {
        let born: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let over = (1..100_000)
            .find(|n| limits().left(pod, born + SignedDuration::from_secs(*n)).is_err())
            .unwrap();
        let end = limits().left(pod, born + SignedDuration::from_secs(over)).unwrap_err();
        (start(pod).report().reason, end.reason, over)
    }

    #[test]
    fn waiting_for_a_node_or_an_image_does_not_count_as_starting() {
        let sandbox = |at: &str| json!([{"type": "PodReadyToStartContainers", "status": "True", "lastTransitionTime": at}]);
        let refused = json!([{"type": "PodScheduled", "status": "False", "message": "0/1 nodes"}]);
        for (node, status, expected) in [
            (None, json!({}), (Reason::Starting, Reason::Unschedulable, 600)),
            (
                None,
                json!({"conditions": refused}),
                (Reason::Unschedulable, Reason::Unschedulable, 600),
            ),
            (Some("n"), json!({}), (Reason::Starting, Reason::NodeUnresponsive, 600)),
            (
                Some("n"),
                json!({"startTime": "2026-01-01T00:00:01Z"}),
                (Reason::Starting, Reason::ContainerUnavailable, 600),
            ),
            (
                Some("n"),
                json!({"containerStatuses": waiting("ContainerCreating", "")}),
                (Reason::Starting, Reason::ContainerUnavailable, 600),
            ),
            (
                Some("n"),
                json!({"podIP": "10.0.0.1", "containerStatuses": waiting("ContainerCreating", "")}),
                (Reason::Starting, Reason::ImageUnavailable, 600),
            ),
            (
                Some("n"),
                json!({"containerStatuses": waiting("ImagePullBackOff", "no such image")}),
                (Reason::ImageUnavailable, Reason::ImageUnavailable, 600),
            ),
            (
                Some("n"),
                json!({
                    "containerStatuses": waiting("CreateContainerError", "no profile"),
                    "conditions": sandbox("2026-01-01T00:01:40Z"),
                }),
                (Reason::ContainerUnavailable, Reason::ContainerUnavailable, 160),
            ),
            (
                Some("n"),
                json!({
                    "podIP": "10.0.0.1",
                    "containerStatuses": of(json!({"running": {"startedAt": "2026-01-01T00:05:00Z"}})),
                }),
                (Reason::Starting, Reason::StartTimedOut, 360),
            ),
        ] {
            assert_eq!(told(&pod(node, status.clone())), expected, "{status}");
        }
    }

    #[test]
    fn whoever_is_waited_for_is_named() {
        let late: Timestamp = "2026-01-01T00:10:00Z".parse().unwrap();
        for (node, status, words) in [
            (None, json!({}), vec!["scheduleTimeoutSeconds: 600 of class c1", "scheduler"]),
            (Some("n1"), json!({}), vec!["kubelet has not taken", "node n1"]),
            (
                Some("n1"),
                json!({"podIP": "10.0.0.1", "containerStatuses": waiting("ContainerCreating", "")}),
                vec!["image i:1", "node n1"],
            ),
            (
                Some("n1"),
                json!({"containerStatuses": waiting("ErrImagePull", "no such host")}),
                vec!["ErrImagePull of image i:1 on node n1: no such host"],
            ),
            (
                Some("n1"),
                json!({"containerStatuses": of(json!({"running": {}}))}),
                vec!["startTimeoutSeconds: 60", "agent"],
            ),
        ] {
            let problem = limits().left(&pod(node, status), late).unwrap_err();
            for word in words {
                assert!(problem.message.contains(word), "{word} in {}", problem.message);
            }
        }
    }
}
