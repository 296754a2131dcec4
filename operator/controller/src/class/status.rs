//! The status that a class gets. Pure.

use crds::{
    BrowserClass, BrowserClassStatus, BrowserVersion, FoundBrowser, Reason,
    class::BrowserName,
    class_status::{Readiness, VersionProblem, VersionStatus},
    conditions::READY,
    names,
};
use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::Pod,
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
};
use kube::ResourceExt;
use webdriver::browser_version;

use super::observations::{Observation, OfClass, Outcome};
use crate::{
    build::{Template, revision},
    pods::Problem,
};

/// The longest message of the condition, in characters.
const MAX_MESSAGE: usize = 4096;

/// How many sessions of a class live, and how many wait.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub live: usize,
    pub waiting: usize,
}

/// The revisions that a class makes now, of each version in order.
pub fn revisions(class: &BrowserClass) -> Vec<String> {
    class.spec.versions.iter().map(|version| revision(&class.spec, version)).collect()
}

pub fn status(
    class: &BrowserClass,
    seen: &OfClass,
    counts: Counts,
    now: Timestamp,
) -> BrowserClassStatus {
    let versions: Vec<VersionStatus> =
        class.spec.versions.iter().map(|version| version_status(class, version, seen)).collect();
    let (met, problem) = verdict(class, &versions);
    let count = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
    BrowserClassStatus {
        observed_generation: class.metadata.generation,
        conditions: vec![ready(class, met, problem, now)],
        versions,
        live: count(counts.live),
        waiting: count(counts.waiting),
        capacity: class.spec.capacity,
    }
}

fn version_status(class: &BrowserClass, version: &BrowserVersion, seen: &OfClass) -> VersionStatus {
    let revision = revision(&class.spec, version);
    let generation = class.metadata.generation.unwrap_or_default();
    let written = class.status.iter().flat_map(|status| &status.versions);
    let before = written.clone().find(|before| before.revision == revision);
    let Observation { found, outcome } = seen.get(&revision).cloned().unwrap_or_default();
    let found = found.or_else(|| class.found(version).cloned());
    let mut problem = match outcome {
        Some(Outcome::Started) => None,
        Some(Outcome::Failed { problem, .. })
            if problem.reason == Reason::Unschedulable && before.is_some_and(has_started) =>
        {
            None
        }
        Some(Outcome::Failed { problem, namespace }) => Some(told(class, &problem, &namespace)),
        // What an earlier process saw. A mismatch is found anew: the class may say something else by now.
        None => before
            .and_then(|before| before.problem.clone())
            .filter(|problem| problem.reason != Reason::BrowserMismatch.as_str()),
    };
    if problem.is_none() {
        problem = found.as_ref().and_then(|found| mismatch(class, version, found));
    }
    let was_tried = seen.get(&revision).is_some_and(|seen| seen.outcome.is_some())
        || before.is_some_and(|before| before.ready != Readiness::Unknown);
    VersionStatus {
        version: version.version.clone(),
        image: version.image.clone(),
        found,
        ready: match &problem {
            Some(_) => Readiness::False,
            None if was_tried => Readiness::True,
            None => Readiness::Unknown,
        },
        problem,
        revision,
        since_generation: before.map_or(generation, |before| before.since_generation),
    }
}

/// Whether a browser of a version has started: one that is not what the class says has, too.
fn has_started(version: &VersionStatus) -> bool {
    let mismatch = Reason::BrowserMismatch.as_str();
    version.ready == Readiness::True
        || version.problem.as_ref().is_some_and(|problem| problem.reason == mismatch)
}

fn told(class: &BrowserClass, problem: &Problem, namespace: &str) -> VersionProblem {
    let mut message = format!("{} (seen in namespace {namespace})", problem.message);
    let secrets: Vec<&str> =
        class.spec.image_pull_secrets.iter().map(|secret| secret.name.as_str()).collect();
    if problem.reason == Reason::ImageUnavailable && !secrets.is_empty() {
        message.push_str("; each session's namespace must have the class's imagePullSecrets: ");
        message.push_str(&secrets.join(", "));
    }
    VersionProblem { reason: problem.reason.to_string(), message: short(&message, MAX_PROBLEM) }
}

/// The longest message of one version, in characters.
const MAX_PROBLEM: usize = 2048;

fn short(message: &str, most: usize) -> String {
    message.chars().take(most).collect()
}

/// The version of its class that a pod was made of, if the class still makes such pods.
pub fn version_of<'a>(class: &'a BrowserClass, pod: &Pod) -> Option<&'a BrowserVersion> {
    let made_of = pod.annotations().get(names::CLASS_REVISION_ANNOTATION)?;
    class.spec.versions.iter().find(|version| revision(&class.spec, version) == *made_of)
}

/// What a pod's session should be told, if the class does not make such pods any more.
pub fn changed_since(pod: &Pod, class: Option<&BrowserClass>) -> Option<&'static str> {
    pod.annotations().get(names::CLASS_REVISION_ANNOTATION)?;
    match class {
        None => Some("the class is gone since this pod was made"),
        Some(class) if version_of(class, pod).is_none() => Some(
            "the class has changed since this pod was made: a session that is created now gets it as it is",
        ),
        Some(_) => None,
    }
}

/// What is wrong where an image has not what its class says.
pub fn mismatch(
    class: &BrowserClass,
    version: &BrowserVersion,
    found: &FoundBrowser,
) -> Option<VersionProblem> {
    let FoundBrowser { browser_name, browser_version } = found;
    let own = class.spec.browser_name;
    let is_own = browser_name == own.as_str()
        // The same browser without its window.
        || own == BrowserName::Chrome && browser_name == "chrome-headless-shell";
    let said = match version.declared() {
        _ if !is_own => format!("browserName {}", own.as_str()),
        Some(said) if !browser_version::agrees(said, browser_version) => format!("version {said}"),
        _ => return None,
    };
    let image = &version.image;
    Some(VersionProblem {
        reason: Reason::BrowserMismatch.to_string(),
        message: short(
            &format!(
                "the class says {said}, its image {image} has {browser_name} {browser_version}"
            ),
            MAX_PROBLEM,
        ),
    })
}

/// The condition's status, its reason, and why.
fn verdict(class: &BrowserClass, versions: &[VersionStatus]) -> (&'static str, Problem) {
    let problem = |reason, message: String| Problem { reason, message };
    if let Err(error) = Template::of(class) {
        return ("False", problem(Reason::ClassUnusable, error.to_string()));
    }
    if let Some(refusal) = placement::class_problem(class) {
        return ("False", problem(Reason::ClassUnusable, refusal.words));
    }
    let failing: Vec<(&VersionStatus, &VersionProblem)> =
        versions.iter().filter_map(|one| Some((one, one.problem.as_ref()?))).collect();
    if let Some((_, first)) = failing.first() {
        let reason = Reason::parse(&first.reason).unwrap_or(Reason::ClassUnusable);
        let all: Vec<String> = failing
            .iter()
            .map(|(one, problem)| format!("{}: {}: {}", name(one), problem.reason, problem.message))
            .collect();
        return ("False", problem(reason, all.join("; ")));
    }
    let tried = versions.iter().filter(|one| one.ready == Readiness::True).count();
    if tried == 0 {
        let since = versions.iter().map(|one| one.since_generation).max().unwrap_or_default();
        let message = format!("no browser of this class has started since its generation {since}");
        return ("Unknown", problem(Reason::Untried, message));
    }
    let message = format!("browsers of {tried} of {} versions have started", versions.len());
    ("True", problem(Reason::BrowsersStart, message))
}

fn name(version: &VersionStatus) -> String {
    match version.version.as_str() {
        "" => format!("image {}", version.image),
        version => format!("version {version}"),
    }
}

fn ready(class: &BrowserClass, met: &str, problem: Problem, now: Timestamp) -> Condition {
    let written = class.status.iter().flat_map(|status| &status.conditions);
    // What an object has from its first moment has no time.
    let unseen = Reason::Pending.as_str();
    let same = written
        .into_iter()
        .find(|old| old.type_ == READY && old.status == met && old.reason != unseen);
    Condition {
        type_: READY.to_owned(),
        status: met.to_owned(),
        reason: problem.reason.to_string(),
        message: short(&problem.message, MAX_MESSAGE),
        observed_generation: class.metadata.generation,
        last_transition_time: same.map_or(Time(now), |old| old.last_transition_time.clone()),
    }
}

#[cfg(test)]
mod tests;
