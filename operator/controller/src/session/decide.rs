//! The state machine of a session: from what is known to the next step. Pure.

use std::{net::IpAddr, time::Duration};

use agent_api::PodRef;
use crds::{BrowserClass, BrowserSession, BrowserSessionStatus, Phase, Reason, names};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use placement::{Placement, ProxyCredentials};
use webdriver::capabilities::CapabilitySet;

use super::{
    credentials::Unusable,
    dereference::{Dereferenced, References, Services},
    status, validate,
};
use crate::{
    admission::{Admission, is_worth_a_write},
    build::{Template, cold_pod},
    cache::{Tombstone, unreadable},
    class::changed_since,
    placing::class_of,
    pods::{Observed, Problem, Start, StartLimits, assigned_pod, live_address, observe, start},
    session_key::SessionKey,
};

/// How long a session may be on its way before its status says so: most are Ready sooner, and a write that nobody reads
/// costs them time. Creation times are cut to seconds, so this is at least one second.
const QUIET: SignedDuration = SignedDuration::from_secs(2);

/// How long an agent may be asked before its session's status says what it waits for.
const SLOW: SignedDuration = SignedDuration::from_secs(5);

/// How long a further stage that nothing holds up must last to be worth a write: where the API server is behind, each write
/// makes it later.
const LASTING: SignedDuration = SignedDuration::from_secs(10);

/// How long the gateway may take to keep what a call brought.
const BRINGING_SECONDS: i32 = 10;

/// What is known of a session.
pub struct Facts<'a> {
    pub session: Option<&'a BrowserSession>,
    pub pod: Option<&'a Pod>,
    pub tombstone: Option<&'a Tombstone>,
    pub services: Services,
    pub has_brought: bool,
    pub references: &'a References,
    pub now: Timestamp,
}

impl<'a> Facts<'a> {
    pub fn new(objects: &'a Dereferenced, now: Timestamp) -> Self {
        let Dereferenced { session, pod, tombstone, services, has_brought, references } = objects;
        Self {
            session: session.as_deref(),
            pod: pod.as_deref(),
            tombstone: tombstone.as_ref(),
            services: *services,
            has_brought: *has_brought,
            references,
            now,
        }
    }
}

/// The class of a session's pod, if it still exists, and what its proxies know it by; or why its rules cannot be had.
pub type Routes<'a> = Result<(Option<&'a BrowserClass>, ProxyCredentials), Problem>;

/// What to do next, and with which objects.
#[derive(Debug)]
pub enum Step<'a> {
    /// Nothing, until something changes or that time has passed.
    Wait(Option<Duration>),
    CreatePod {
        session: &'a BrowserSession,
        placement: Box<Placement<'a>>,
        template: Box<Template>,
    },
    /// Give the pod to the session.
    Bind {
        session: &'a BrowserSession,
        pod: &'a Pod,
        /// The pod's address.
        ip: IpAddr,
        capabilities: CapabilitySet,
        credentials: ProxyCredentials,
    },
    /// Give the agent the routes that the spec has by now.
    Route { session: &'a BrowserSession, pod: &'a Pod, ip: IpAddr, routes: Routes<'a> },
    /// Apply the Services that name the pod, again.
    ApplyServices { session: &'a BrowserSession },
    /// Write how far the session is.
    Report { session: &'a BrowserSession, status: Box<BrowserSessionStatus> },
    /// Write why the session has ended, then delete its pod.
    End { session: &'a BrowserSession, pod: Option<&'a Pod>, status: Box<BrowserSessionStatus> },
    /// Delete a pod whose session is gone or has ended.
    DeletePod { session: Option<&'a BrowserSession>, pod: &'a Pod },
    /// Delete the session's own Service.
    DeleteService { session: &'a BrowserSession },
    /// Delete the credentials that a session's call brought: it has ended or is gone.
    DeleteCredentials,
    /// Delete the record of a session that ended long enough ago.
    DeleteSession,
}

/// What a step takes for absent. Watches of different kinds run apart, so a step that cannot be undone and rests on an
/// absence is taken only after the API server has confirmed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Absence {
    /// The session of a pod.
    Session,
    /// The pod that a session had.
    Pod(PodRef),
    /// A class that gives what is asked for.
    Class,
}

/// The absence that a step rests on.
pub fn rests_on(facts: &Facts<'_>, step: &Step<'_>) -> Option<Absence> {
    match step {
        Step::DeletePod { session: None, .. } | Step::DeleteCredentials
            if facts.session.is_none() =>
        {
            Some(Absence::Session)
        }
        Step::End { session, pod: None, status } => {
            let reason = status.conditions.first().and_then(|c| Reason::parse(&c.reason))?;
            match reason {
                Reason::PodDeleted => {
                    let tombstone = facts.tombstone.map(|tombstone| tombstone.pod.clone());
                    let cold = || Some(cold_pod(&SessionKey::of_session(session)?));
                    let pod = assigned_pod(session).or(tombstone).or_else(cold);
                    pod.map(Absence::Pod)
                }
                Reason::ClassNotFound
                | Reason::RegionNotFound
                | Reason::CapabilitiesNotMatched
                | Reason::NotAllowed => Some(Absence::Class),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Decides. `admit` says whether a session may have its pod, in a class of that name and capacity; `None` where it has ended
/// by now. It is asked only of a session that can have a pod, and reserves its place.
pub fn decide<'a>(
    facts: &Facts<'a>,
    admit: impl FnOnce(&str, Option<usize>) -> Option<Admission>,
) -> Step<'a> {
    let Some(session) = facts.session else {
        let nothing_else = || match facts.has_brought {
            true => Step::DeleteCredentials,
            false => Step::Wait(None),
        };
        return delete_pod(facts).unwrap_or_else(nothing_else);
    };
    let is_deleted = session.metadata.deletion_timestamp.is_some();
    if session.is_terminal() {
        return delete_pod(facts).unwrap_or_else(|| match facts.services.own {
            true => Step::DeleteService { session },
            false if facts.has_brought => Step::DeleteCredentials,
            false if is_deleted => Step::Wait(None),
            false => expire(session, facts.now),
        });
    }
    // Somebody's finalizer keeps the object: clients read there, and hear from there, that the session is over.
    if is_deleted {
        let message = "the BrowserSession was deleted".to_owned();
        return end(facts, session, Problem { reason: Reason::Deleted, message });
    }
    if let Some(reason) = end_annotation(session) {
        let message = format!("the annotation {} asked for the end", names::END_ANNOTATION);
        return end(facts, session, Problem { reason, message });
    }
    if let Some(problem) = unreadable(session) {
        return end(facts, session, problem);
    }
    match facts.pod {
        None => without_pod(facts, session, admit),
        Some(pod) => with_pod(facts, session, pod),
    }
}

/// A pod that nobody wants is deleted. One that goes already (the garbage collector may be first) is still told why.
fn delete_pod<'a>(facts: &Facts<'a>) -> Option<Step<'a>> {
    let pod = facts.pod?;
    let is_going = pod.metadata.deletion_timestamp.is_some();
    Some(if is_going && live_address(pod).is_none() {
        Step::Wait(None)
    } else {
        Step::DeletePod { session: facts.session, pod }
    })
}

/// A record with a time to live is deleted when that has passed.
fn expire<'a>(session: &'a BrowserSession, now: Timestamp) -> Step<'a> {
    let ended = session.status.as_ref().and_then(|status| status.ended_at.as_ref());
    match (session.spec.ttl_seconds_after_finished, ended) {
        (Some(ttl), Some(ended)) => match time_left(ended.0, ttl, now) {
            Some(left) => Step::Wait(Some(left)),
            None => Step::DeleteSession,
        },
        _ => Step::Wait(None),
    }
}

fn end_annotation(session: &BrowserSession) -> Option<Reason> {
    let word = session.annotations().get(names::END_ANNOTATION)?;
    // A word that is no reason still means the end: somebody wanted it.
    Some(Reason::parse(word).filter(|reason| reason.is_final()).unwrap_or(Reason::ClientEnded))
}

fn without_pod<'a>(
    facts: &Facts<'a>,
    session: &'a BrowserSession,
    admit: impl FnOnce(&str, Option<usize>) -> Option<Admission>,
) -> Step<'a> {
    // One pod for one session: also where its status does not say yet that it had one.
    if let Some(tombstone) = facts.tombstone {
        return end(facts, session, tombstone.problem.clone());
    }
    if assigned_pod(session).is_some() {
        let message = pod_is_gone(session);
        return end(facts, session, Problem { reason: Reason::PodDeleted, message });
    }
    let placement = match validate::placement(session, facts.references) {
        Ok(placement) => placement,
        Err(problem) => return end(facts, session, problem),
    };
    let class = placement.class.name_any();
    // It may be mended: sessions wait, and take no place meanwhile.
    let template = match Template::of(placement.class) {
        Ok(template) => template,
        Err(error) => {
            let message = format!("class {class}: {error}");
            let problem = Problem { reason: Reason::ClassUnusable, message };
            return report(facts, session, Phase::Pending, problem, None);
        }
    };
    if let Err(unusable) = validate::credentials(facts.references) {
        return without_credentials(facts, session, unusable);
    }
    let capacity = placement.class.spec.capacity.and_then(|n| usize::try_from(n).ok());
    let (reason, position) = match admit(&class, capacity) {
        Some(Admission::Admitted) => {
            return Step::CreatePod {
                session,
                placement: Box::new(placement),
                template: Box::new(template),
            };
        }
        Some(Admission::Queued { reason, position }) => (reason, position),
        None => return Step::Wait(None),
    };
    let written = session.status.as_ref().and_then(|status| status.queue_position);
    let position = match written {
        Some(written) if !is_worth_a_write(Some(written), position) => written,
        _ => position,
    };
    let namespace = session.namespace().unwrap_or_default();
    let ceiling = placement.class.spec.ceilings.as_ref().and_then(|c| c.sessions_per_namespace);
    let why = match (reason, capacity, ceiling) {
        (Reason::CapacityReached, Some(capacity), _) => {
            format!("class {class} has capacity: {capacity}, and so many sessions live")
        }
        (Reason::NamespaceCeilingReached, _, Some(ceiling)) => format!(
            "class {class} has ceilings.sessionsPerNamespace: {ceiling}, and so many sessions of namespace \
             {namespace} live"
        ),
        _ => format!("a ResourceQuota of namespace {namespace} has no room for another pod"),
    };
    let message = format!("{why}; position in the queue: {position}");
    report(facts, session, Phase::Pending, Problem { reason, message }, Some(position))
}

fn with_pod<'a>(facts: &Facts<'a>, session: &'a BrowserSession, pod: &'a Pod) -> Step<'a> {
    let observed = observe(pod);
    if let Observed::Ended(problem) = observed {
        return end(facts, session, problem);
    }
    if session.is_ready() {
        return match observed {
            _ if !facts.services.are_complete => apply_services(facts, session, pod),
            Observed::Reachable { ip } if status::routes_wait(session) => {
                Step::Route { session, pod, ip, routes: routes(facts, session, pod) }
            }
            _ => Step::Wait(None),
        };
    }
    let class = class_of(pod, &facts.references.classes);
    let left = match StartLimits::of(pod, &facts.references.classes).left(pod, facts.now) {
        Ok(left) => left,
        Err(problem) => return end(facts, session, with_change(problem, pod, class)),
    };
    if !facts.services.are_complete {
        return apply_services(facts, session, pod);
    }
    match observed {
        Observed::Reachable { ip } => match validate::matched_capabilities(session, pod, class) {
            Ok(capabilities) => match validate::credentials(facts.references) {
                Ok(credentials) => Step::Bind { session, pod, ip, capabilities, credentials },
                Err(unusable) => without_credentials(facts, session, unusable),
            },
            Err(problem) => end(facts, session, problem),
        },
        Observed::Starting(start) => {
            let told = session.telling_condition().and_then(|c| Reason::parse(&c.reason));
            let is_told = told == Some(Reason::Starting);
            if let Some(wait) =
                lasts_too_short(&start, LASTING, session, facts.now).filter(|_| is_told)
            {
                return Step::Wait(Some(wait.min(left)));
            }
            let problem = with_change(start.report(), pod, class);
            match report(facts, session, Phase::Starting, problem, None) {
                Step::Wait(pause) => Step::Wait(Some(pause.unwrap_or(left).min(left))),
                step => step,
            }
        }
        Observed::Ended(_) => Step::Wait(None),
    }
}

/// What an agent is to be told of its session's rules, or why they cannot be had.
fn routes<'a>(facts: &Facts<'a>, session: &BrowserSession, pod: &Pod) -> Routes<'a> {
    let class = class_of(pod, &facts.references.classes);
    let set = validate::matched_capabilities(session, pod, class)?;
    validate::proxy(session, &set)?;
    let credentials = validate::credentials(facts.references);
    Ok((class, credentials.map_err(session_without)?))
}

/// A session whose proxies know it by nothing yet. The gateway keeps what a call brought right after it has made the session.
fn without_credentials<'a>(
    facts: &Facts<'a>,
    session: &'a BrowserSession,
    unusable: Unusable,
) -> Step<'a> {
    let created = session.creation_timestamp().map_or(facts.now, |created| created.0);
    match (&unusable, time_left(created, BRINGING_SECONDS, facts.now)) {
        (Unusable::NotBrought, Some(left)) => Step::Wait(Some(left)),
        _ => end(facts, session, session_without(unusable)),
    }
}

fn session_without(unusable: Unusable) -> Problem {
    match unusable {
        Unusable::Problem(problem) => problem,
        Unusable::NotBrought => {
            let message =
                "spec.proxy: credentialsKey: no call brought credentials for this session";
            Problem { reason: Reason::SecretUnusable, message: message.to_owned() }
        }
    }
}

/// A pod that is held up says whether its class was mended meanwhile: it keeps what it was made with.
fn with_change(mut problem: Problem, pod: &Pod, class: Option<&BrowserClass>) -> Problem {
    if problem.reason != Reason::Starting
        && let Some(change) = changed_since(pod, class)
    {
        problem.message = format!("{}; {change}", problem.message);
    }
    problem
}

/// Services that are missing are made, as far as the class of the pod allows them by now.
fn apply_services<'a>(facts: &Facts<'a>, session: &'a BrowserSession, pod: &'a Pod) -> Step<'a> {
    let name = pod.labels().get(names::CLASS_LABEL);
    let class = facts.references.classes.iter().find(|class| Some(&class.name_any()) == name);
    match class.map_or(Ok(()), |class| validate::exposure(session, class)) {
        Ok(()) => Step::ApplyServices { session },
        Err(problem) => end(facts, session, problem),
    }
}

/// For a session whose pod is not there, and left no word.
fn pod_is_gone(session: &BrowserSession) -> String {
    let status = session.status.as_ref();
    let name = status.and_then(|status| status.pod_name.as_deref()).unwrap_or_default();
    let node = status.and_then(|status| status.node_name.as_deref());
    let on = node.map(|node| format!(" on node {node}")).unwrap_or_default();
    format!("the browser's pod {name}{on} is gone, and no controller saw why")
}

/// What the status of a session says whose pod is asked, and has been for long.
#[derive(Debug, PartialEq)]
pub enum Slow {
    /// Nothing more, for so long.
    Not(Duration),
    /// What is known by now.
    Report(Box<BrowserSessionStatus>),
    /// It says so already.
    Told,
}

pub fn slow_start(session: &BrowserSession, pod: &Pod, now: Timestamp) -> Slow {
    let start = start(pod);
    if let Some(wait) = lasts_too_short(&start, SLOW, session, now) {
        return Slow::Not(wait);
    }
    let problem = start.report();
    let status = status::progress(session, Phase::Starting, problem, Some(pod), None, now);
    if session.status.as_ref() == Some(&status) {
        Slow::Told
    } else {
        Slow::Report(Box::new(status))
    }
}

/// What a stage lacks of so long. What holds a start up is told at once.
fn lasts_too_short(
    start: &Start,
    enough: SignedDuration,
    session: &BrowserSession,
    now: Timestamp,
) -> Option<Duration> {
    if start.is_held_up {
        return None;
    }
    // A pod may be older than its session.
    let created = session.creation_timestamp().map(|created| created.0);
    let since = start.since.max(created).unwrap_or(now);
    positive((since + enough).duration_since(now))
}

/// Writes how far a session is, unless its status says so already or it is young.
fn report<'a>(
    facts: &Facts<'a>,
    session: &'a BrowserSession,
    phase: Phase,
    problem: Problem,
    queue_position: Option<i32>,
) -> Step<'a> {
    let created = session.creation_timestamp().map_or(facts.now, |created| created.0);
    let quiet_until = created + QUIET;
    if facts.now < quiet_until {
        return Step::Wait(positive(quiet_until.duration_since(facts.now)));
    }
    let status = status::progress(session, phase, problem, facts.pod, queue_position, facts.now);
    if session.status.as_ref() == Some(&status) {
        Step::Wait(None)
    } else {
        Step::Report { session, status: Box::new(status) }
    }
}

fn end<'a>(facts: &Facts<'a>, session: &'a BrowserSession, problem: Problem) -> Step<'a> {
    let status = Box::new(status::ended(session, problem, facts.now));
    Step::End { session, pod: facts.pod, status }
}

/// What is left of so many seconds from `begin`; `None` when they have passed.
fn time_left(begin: Timestamp, seconds: i32, now: Timestamp) -> Option<Duration> {
    positive((begin + SignedDuration::from_secs(seconds.into())).duration_since(now))
}

fn positive(duration: SignedDuration) -> Option<Duration> {
    Duration::try_from(duration).ok().filter(|duration| !duration.is_zero())
}

#[cfg(test)]
mod tests;
