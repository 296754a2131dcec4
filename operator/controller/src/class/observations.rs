//! What was seen of the pods that classes make, by class and revision.

use std::collections::HashMap;

use crds::{BrowserSession, FoundBrowser, Reason, names};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use parking_lot::Mutex;
use serde_json::{Map, Value};

use super::blame;
use crate::{
    cache::{Stores, is_forged},
    pods::Problem,
    session_key::SessionKey,
    work_queue::WorkQueue,
};

/// The most that is kept of a message, and of a browser's name or version.
const MAX_MESSAGE: usize = 1024;
const MAX_WORD: usize = 64;

/// What was seen of the pods of one revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observation {
    pub found: Option<FoundBrowser>,
    /// What came of the last one that was tried.
    pub outcome: Option<Outcome>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Started,
    Failed {
        problem: Problem,
        /// Where it was first seen.
        namespace: String,
    },
}

/// The observations of one class, by revision.
pub type OfClass = HashMap<String, Observation>;

pub struct Observations {
    by_class: Mutex<HashMap<String, OfClass>>,
    /// Classes whose status may have to change.
    changed: WorkQueue<String>,
}

impl Observations {
    pub fn new(changed: WorkQueue<String>) -> Self {
        Self { by_class: Mutex::default(), changed }
    }

    /// A pod's browser has started, and its driver said what it is.
    pub fn started(&self, pod: &Pod, found: Option<FoundBrowser>) {
        self.observe(pod, |seen| {
            seen.found = found.or(seen.found.take());
            seen.outcome = Some(Outcome::Started);
        });
    }

    /// A pod came or changed: what holds it up may be its class's doing.
    pub fn pod_seen(&self, pod: &Pod) {
        if let Some(problem) = blame::held_up(pod) {
            self.failed(pod, problem);
        }
    }

    /// A session ended that had this pod.
    pub fn session_ended(&self, session: &BrowserSession, pod: &Pod, problem: Problem) {
        if blame::is_the_classes(session, problem.reason) {
            self.failed(pod, problem);
        }
    }

    /// A pod could not start, for a reason that is its class's.
    pub fn failed(&self, pod: &Pod, problem: Problem) {
        let namespace = pod.namespace().unwrap_or_default();
        self.observe(pod, |seen| fail(seen, problem, namespace));
    }

    fn observe(&self, pod: &Pod, observe: impl FnOnce(&mut Observation)) {
        let class = pod.labels().get(names::CLASS_LABEL);
        let revision = pod.annotations().get(names::CLASS_REVISION_ANNOTATION);
        let (Some(class), Some(revision)) = (class, revision) else { return };
        if is_forged(pod) {
            return;
        }
        let mut by_class = self.by_class.lock();
        let seen = by_class.entry(class.clone()).or_default().entry(revision.clone()).or_default();
        let before = seen.clone();
        observe(seen);
        if *seen != before {
            self.changed.add(class.clone());
        }
    }

    /// What live sessions show: an earlier process may have seen them start and not have said so.
    pub fn restore(&self, stores: &Stores) {
        for session in stores.sessions().iter().filter(|session| session.is_ready()) {
            let pod = SessionKey::of_session(session).and_then(|key| stores.pod_of(&key));
            let capabilities = session.status.as_ref().and_then(|s| s.capabilities.as_ref());
            if let Some(pod) = pod {
                self.started(&pod, capabilities.and_then(found));
            }
        }
    }

    /// Those of a class. Of others than these revisions nothing is kept: the class does not make such pods any more.
    pub fn of(&self, class: &str, revisions: &[String]) -> OfClass {
        let mut by_class = self.by_class.lock();
        let Some(seen) = by_class.get_mut(class) else { return OfClass::new() };
        seen.retain(|revision, _| revisions.contains(revision));
        seen.clone()
    }

    /// The class is gone.
    pub fn forget(&self, class: &str) {
        self.by_class.lock().remove(class);
    }
}

fn fail(seen: &mut Observation, mut problem: Problem, namespace: String) {
    // Where one has started the cluster is full, and the class as it should be.
    if problem.reason == Reason::Unschedulable && seen.outcome == Some(Outcome::Started) {
        return;
    }
    if let Some(Outcome::Failed { problem: known, .. }) = &seen.outcome
        && known.reason == problem.reason
        // The kubelet says in turn what failed and that it waits: the first says more.
        && (known.message == problem.message || problem.message.starts_with("ImagePullBackOff"))
    {
        return;
    }
    problem.message.truncate(problem.message.floor_char_boundary(MAX_MESSAGE));
    seen.outcome = Some(Outcome::Failed { problem, namespace });
}

/// What a driver says that its browser is, if it can be believed to be a name and a version.
pub fn found(capabilities: &Map<String, Value>) -> Option<FoundBrowser> {
    let word = |name: &str, is_allowed: fn(char) -> bool| {
        let text = capabilities.get(name)?.as_str()?;
        let is_word = !text.is_empty() && text.len() <= MAX_WORD && text.chars().all(is_allowed);
        is_word.then(|| text.to_owned())
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-' | '_' | '.');
    let is_version = |c: char| c.is_ascii_alphanumeric() || c == '.';
    Some(FoundBrowser {
        browser_name: word("browserName", is_name)?,
        browser_version: word("browserVersion", is_version)
            .filter(|version| version.starts_with(|c: char| c.is_ascii_digit()))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(namespace: &str, revision: &str) -> Pod {
        serde_json::from_value(json!({"metadata": {
            "name": "p", "namespace": namespace,
            "labels": {"browser-operator.io/class": "c"},
            "annotations": {"browser-operator.io/class-revision": revision},
        }}))
        .unwrap()
    }

    fn problem(reason: Reason, message: &str) -> Problem {
        Problem { reason, message: message.to_owned() }
    }

    fn observations() -> (Observations, tokio::sync::mpsc::UnboundedReceiver<String>) {
        let (changed, keys) = WorkQueue::new();
        (Observations::new(changed), keys)
    }

    #[test]
    fn the_last_outcome_counts_and_a_class_is_looked_at_only_when_it_changes() {
        let (seen, mut keys) = observations();
        let chrome = FoundBrowser { browser_name: "chrome".into(), browser_version: "1".into() };
        let outcome = |revision: &str| seen.of("c", &["r".into(), "q".into()])[revision].clone();
        seen.started(&pod("n", "r"), Some(chrome.clone()));
        seen.started(&pod("n", "r"), Some(chrome.clone()));
        seen.started(&pod("n", "r"), None);
        assert_eq!(keys.try_recv(), Ok("c".to_owned()));
        assert!(keys.try_recv().is_err(), "the others said the same");
        seen.failed(&pod("n", "r"), problem(Reason::ImageUnavailable, "ErrImagePull: no"));
        // The next pod, and the kubelet's pause, say nothing new.
        seen.failed(&pod("m", "r"), problem(Reason::ImageUnavailable, "ErrImagePull: no"));
        seen.failed(&pod("n", "r"), problem(Reason::ImageUnavailable, "ImagePullBackOff: wait"));
        assert_eq!(keys.try_recv(), Ok("c".to_owned()));
        assert!(keys.try_recv().is_err());
        let Observation { found, outcome: Some(Outcome::Failed { problem, namespace }) } =
            outcome("r")
        else {
            panic!("it has failed")
        };
        assert_eq!((found, namespace.as_str()), (Some(chrome), "n"), "what was found stays");
        assert_eq!(problem.message, "ErrImagePull: no");
        seen.started(&pod("n", "r"), None);
        assert_eq!(outcome("r").outcome, Some(Outcome::Started));
    }

    #[test]
    fn a_full_cluster_is_no_fault_of_a_class_that_has_started() {
        let (seen, _keys) = observations();
        let full = || problem(Reason::Unschedulable, "0/1 nodes");
        seen.failed(&pod("n", "never"), full());
        seen.started(&pod("n", "once"), None);
        seen.failed(&pod("n", "once"), full());
        let of = seen.of("c", &["never".into(), "once".into()]);
        assert!(matches!(of["never"].outcome, Some(Outcome::Failed { .. })));
        assert_eq!(of["once"].outcome, Some(Outcome::Started));
    }

    #[test]
    fn nothing_is_learned_from_a_forged_pod_and_nothing_kept_of_an_old_revision() {
        let (seen, _keys) = observations();
        let mut forged = pod("n", "r");
        forged.annotations_mut().insert("browser-operator.io/forged".into(), String::new());
        seen.failed(&forged, problem(Reason::ImageUnavailable, "m"));
        assert_eq!(seen.of("c", &["r".into()]), OfClass::new());
        seen.started(&pod("n", "old"), None);
        assert_eq!(seen.of("c", &["new".into()]), OfClass::new());
        assert_eq!(seen.of("c", &["old".into()]), OfClass::new());
    }

    #[test]
    fn a_browser_is_believed_to_have_a_name_and_a_version_and_nothing_else() {
        for (name, version, is_believed) in [
            (json!("chrome"), json!("156.0.8078.79"), true),
            (json!("firefox"), json!("140.5.0esr"), true),
            (json!("chrome"), json!("unknown"), false),
            (json!("chrome"), json!(156), false),
            (json!("chrome"), json!("1".repeat(65)), false),
            (json!("<b>"), json!("156"), false),
            (json!("chrome"), json!("156\n"), false),
            (json!(null), json!("156"), false),
        ] {
            let said = json!({"browserName": name, "browserVersion": version});
            assert_eq!(found(said.as_object().unwrap()).is_some(), is_believed, "{said}");
        }
    }
}
