//! The state machine of a session: from what is seen to what is done next. Pure.

use std::{net::IpAddr, time::Duration};

use crds::{
    BrowserClass, BrowserSession, BrowserSessionStatus, Phase, Reason,
    conditions::{Verdict, conditions},
    names,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::Time};
use kube::ResourceExt;
use placement::Placement;
use webdriver::capabilities::CapabilitySet;

use crate::{
    build::MATCHED_ANNOTATION,
    line::{Turn, is_news},
    observe::{Observed, Trouble, live_address, observe},
};

/// How long a session may be on its way before its status says so, from a creation time that is cut to whole seconds:
/// at least one second, then. Most are Ready sooner, and a write that nobody
/// reads costs them time.
const QUIET: SignedDuration = SignedDuration::from_secs(2);
/// The start timeout of a class that is gone.
const DEFAULT_START_TIMEOUT_SECONDS: i32 = 60;

/// What is seen of one session.
pub struct Seen<'a, 'l> {
    /// The object; `None` once it is gone.
    pub session: Option<&'a BrowserSession>,
    /// Its pod, if there is one.
    pub pod: Option<&'a Pod>,
    /// Why its pod ended, where that went before it was looked at again.
    pub gone: Option<Trouble>,
    /// Every class.
    pub classes: &'a [BrowserClass],
    /// Whether it is this session's turn, in a class of that name and capacity; `None` where it is over by now. Asked only
    /// of a session that can have a pod, which has its place if it may.
    pub turn: &'l dyn Fn(&str, Option<usize>) -> Option<Turn>,
    /// Whether the Services that name its pod are there.
    pub has_services: bool,
    /// Whether a Service of its own is there.
    pub has_own_service: bool,
    /// Now.
    pub now: Timestamp,
}

/// What to do next.
#[derive(Debug)]
pub enum Step<'a> {
    /// Nothing, until something changes or that time has passed.
    Wait(Option<Duration>),
    /// Make the pod.
    CreatePod(Box<Placement<'a>>),
    /// Give the pod to the session.
    Bind {
        /// The pod's address.
        ip: IpAddr,
        /// The capabilities that were matched.
        capabilities: CapabilitySet,
        /// How long it may take.
        within: Duration,
    },
    /// Make the Services that name the pod, again.
    ApplyServices,
    /// Publish how far it is.
    Report(Box<BrowserSessionStatus>),
    /// Publish the end.
    End(Box<BrowserSessionStatus>),
    /// Take the pod away.
    DeletePod,
    /// Take the session's own Service away.
    DeleteService,
    /// Remove the record.
    DeleteSession,
}

/// What a step takes for absent. Watches of different kinds run apart, so a last step that rests on an absence is
/// taken only after the API server has confirmed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absence {
    /// The session of a pod.
    Session,
    /// The pod of a session that had one.
    Pod,
    /// A class that gives what is asked for.
    Class,
}

/// The absence that a step rests on.
pub fn rests_on(seen: &Seen<'_, '_>, step: &Step<'_>) -> Option<Absence> {
    match (step, seen.session, seen.pod) {
        (Step::DeletePod, None, Some(_)) => Some(Absence::Session),
        (Step::End(status), Some(_), None) => {
            let reason = status.conditions.first().and_then(|c| Reason::parse(&c.reason))?;
            match reason {
                Reason::PodDeleted => Some(Absence::Pod),
                Reason::ClassNotFound | Reason::RegionNotFound | Reason::CapabilitiesNotMatched => {
                    Some(Absence::Class)
                }
                _ => None,
            }
        }
        _ => None,
    }
}

/// Decides.
pub fn decide<'a>(seen: &Seen<'a, '_>) -> Step<'a> {
    let Some(session) =
        seen.session.filter(|session| session.metadata.deletion_timestamp.is_none())
    else {
        return pod_away(seen.pod).unwrap_or(Step::Wait(None));
    };
    if session.is_terminal() {
        return pod_away(seen.pod).unwrap_or_else(|| {
            if seen.has_own_service { Step::DeleteService } else { record(session, seen.now) }
        });
    }
    if let Some(reason) = end_annotation(session) {
        return end(session, reason, "the end was asked for by annotation", seen.now);
    }
    match seen.pod {
        None => without_pod(seen, session),
        Some(pod) => with_pod(seen, session, pod),
    }
}

/// A pod that nobody wants goes. One that goes already (the garbage collector may be first) is still told why.
fn pod_away<'a>(pod: Option<&Pod>) -> Option<Step<'a>> {
    let pod = pod?;
    let is_going = pod.metadata.deletion_timestamp.is_some();
    Some(if is_going && live_address(pod).is_none() { Step::Wait(None) } else { Step::DeletePod })
}

/// A record that has a time to live goes when it has passed.
fn record<'a>(session: &BrowserSession, now: Timestamp) -> Step<'a> {
    let ended = session.status.as_ref().and_then(|status| status.ended_at.as_ref());
    match (session.spec.ttl_seconds_after_finished, ended) {
        (Some(ttl), Some(ended)) => match until(ended.0, ttl, now) {
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

fn without_pod<'a>(seen: &Seen<'a, '_>, session: &BrowserSession) -> Step<'a> {
    // One pod for one session: also where its status does not say yet that it had one.
    if let Some(Trouble { reason, message }) = &seen.gone {
        return end(session, *reason, message, seen.now);
    }
    if session.status.as_ref().is_some_and(|status| status.pod_name.is_some()) {
        return end(session, Reason::PodDeleted, "the browser's pod is gone", seen.now);
    }
    let placement = match placement::place(&session.spec, seen.classes) {
        Ok(placement) => placement,
        Err(refusal) => return end(session, refusal.reason, &refusal.message(), seen.now),
    };
    let class = placement.class.name_any();
    let capacity = placement.class.spec.capacity.and_then(|n| usize::try_from(n).ok());
    let (reason, position) = match (seen.turn)(&class, capacity) {
        Some(Turn::Go) => return Step::CreatePod(Box::new(placement)),
        Some(Turn::Wait { reason, position }) => (reason, position),
        None => return Step::Wait(None),
    };
    let written = session.status.as_ref().and_then(|status| status.queue_position);
    let position = if is_news(written, position) { position } else { written.unwrap_or(position) };
    let why = match (reason, capacity) {
        (Reason::CapacityReached, Some(capacity)) => {
            format!("class {class} has room for {capacity} sessions at a time")
        }
        _ => "a ResourceQuota of the namespace has no room for another pod".to_owned(),
    };
    let message = format!("{why}; position in the queue: {position}");
    report(seen, session, Phase::Pending, reason, &message, None, Some(position))
}

fn with_pod<'a>(seen: &Seen<'a, '_>, session: &BrowserSession, pod: &Pod) -> Step<'a> {
    let observed = observe(pod);
    if let Observed::Ended(Trouble { reason, message }) = observed {
        return end(session, reason, &message, seen.now);
    }
    if session.is_ready() {
        return if seen.has_services { Step::Wait(None) } else { Step::ApplyServices };
    }
    let seconds = start_timeout(seen.classes, pod);
    let born = pod.creation_timestamp().map_or(seen.now, |created| created.0);
    let Some(left) = until(born, seconds, seen.now) else {
        let (reason, why) = match observed {
            Observed::Starting(Some(Trouble { reason, message })) => (reason, message),
            _ => (Reason::StartTimedOut, "its agent did not answer".to_owned()),
        };
        let message = format!("not ready within startTimeoutSeconds: {seconds}: {why}");
        return end(session, reason, &message, seen.now);
    };
    if !seen.has_services {
        return Step::ApplyServices;
    }
    match observed {
        Observed::Reachable { ip } => match placement::matched_set(&session.spec, matched(pod)) {
            Ok(capabilities) => Step::Bind { ip, capabilities, within: left },
            Err(refusal) => end(session, refusal.reason, &refusal.message(), seen.now),
        },
        Observed::Starting(trouble) => {
            let Trouble { reason, message } = trouble.unwrap_or(Trouble {
                reason: Reason::Starting,
                message: "the browser's pod is being started".to_owned(),
            });
            match report(seen, session, Phase::Starting, reason, &message, Some(pod), None) {
                Step::Wait(pause) => Step::Wait(Some(pause.unwrap_or(left).min(left))),
                step => step,
            }
        }
        Observed::Ended(_) => Step::Wait(None),
    }
}

/// Publishes how far a session is, unless that is known or it is young.
fn report<'a>(
    seen: &Seen<'_, '_>,
    session: &BrowserSession,
    phase: Phase,
    reason: Reason,
    message: &str,
    pod: Option<&Pod>,
    queue_position: Option<i32>,
) -> Step<'a> {
    let created = session.creation_timestamp().map_or(seen.now, |created| created.0);
    let quiet_until = created + QUIET;
    if seen.now < quiet_until {
        return Step::Wait(positive(quiet_until.duration_since(seen.now)));
    }
    let mut status = session.status.clone().unwrap_or_default();
    status.phase = Some(phase);
    status.pod_name = status.pod_name.or_else(|| pod.map(ResourceExt::name_any));
    status.class_name = pod.and_then(|pod| pod.labels().get(names::CLASS_LABEL).cloned());
    status.region = pod.and_then(|pod| pod.labels().get(names::REGION_LABEL).cloned());
    status.node_name = pod.and_then(node);
    status.queue_position = queue_position;
    let verdict = Verdict { ready: false, stalled: false, reason, message: message.to_owned() };
    publish(&mut status, session, &verdict, seen.now);
    if session.status.as_ref() == Some(&status) {
        Step::Wait(None)
    } else {
        Step::Report(Box::new(status))
    }
}

fn end<'a>(session: &BrowserSession, reason: Reason, message: &str, now: Timestamp) -> Step<'a> {
    let mut status = session.status.clone().unwrap_or_default();
    status.phase = Some(last_phase(reason));
    status.ended_at = Some(Time(now));
    status.web_socket_url = None;
    status.web_driver_url = None;
    status.cdp_url = None;
    status.queue_position = None;
    let verdict = Verdict { ready: false, stalled: true, reason, message: message.to_owned() };
    publish(&mut status, session, &verdict, now);
    Step::End(Box::new(status))
}

/// The status of a session whose pod has just been bound.
pub struct Bound<'a> {
    /// The pod.
    pub pod: &'a Pod,
    /// WebDriver's id.
    pub session_id: String,
    /// Where BiDi is spoken, if it is.
    pub web_socket_url: Option<String>,
    /// Where Classic is spoken, if it is.
    pub web_driver_url: Option<String>,
    /// The Service that names the pod.
    pub service_name: String,
    /// The DNS name.
    pub address: String,
    /// As the browser matched them.
    pub capabilities: CapabilitySet,
    /// Whose sandbox confines the page.
    pub sandbox: Option<crds::Sandbox>,
}

/// The status that makes a session Ready.
pub fn ready(session: &BrowserSession, bound: Bound<'_>, now: Timestamp) -> BrowserSessionStatus {
    let expires = now + SignedDuration::from_secs(session.spec.timeout_seconds.into());
    let old = session.status.clone().unwrap_or_default();
    let label = |name| bound.pod.labels().get(name).cloned();
    let mut status = BrowserSessionStatus {
        phase: Some(Phase::Ready),
        session_id: Some(bound.session_id),
        web_socket_url: bound.web_socket_url,
        web_driver_url: bound.web_driver_url,
        cdp_url: None,
        class_name: label(names::CLASS_LABEL),
        region: label(names::REGION_LABEL),
        providers: providers(bound.pod),
        sandbox: bound.sandbox,
        pod_name: Some(bound.pod.name_any()),
        pod_ip: bound.pod.status.as_ref().and_then(|status| status.pod_ip.clone()),
        node_name: node(bound.pod),
        service_name: Some(bound.service_name),
        address: Some(bound.address),
        capabilities: Some(bound.capabilities),
        queue_position: None,
        started_at: Some(Time(now)),
        expires_at: Some(Time(expires)),
        ended_at: None,
        conditions: old.conditions,
        observed_generation: None,
    };
    let verdict = Verdict {
        ready: true,
        stalled: false,
        reason: Reason::BrowserReady,
        message: "the browser can be driven".to_owned(),
    };
    publish(&mut status, session, &verdict, now);
    status
}

/// The providers of the session's features, which the pod was made with.
fn providers(pod: &Pod) -> Vec<String> {
    let names = pod.annotations().get(names::PROVIDERS_ANNOTATION);
    names.into_iter().flat_map(|names| names.split(',')).map(ToOwned::to_owned).collect()
}

/// The status of a session whose bind was refused for good.
pub fn refused(
    session: &BrowserSession,
    reason: Reason,
    message: &str,
    now: Timestamp,
) -> BrowserSessionStatus {
    match end(session, reason, message, now) {
        Step::End(status) => *status,
        _ => BrowserSessionStatus::default(),
    }
}

/// The status of a session whose pod the API server refuses for now.
pub fn held_back(
    session: &BrowserSession,
    reason: Reason,
    message: &str,
    now: Timestamp,
) -> Option<BrowserSessionStatus> {
    let mut status = session.status.clone().unwrap_or_default();
    status.phase = Some(Phase::Pending);
    // It was its turn.
    status.queue_position = None;
    let verdict = Verdict { ready: false, stalled: false, reason, message: message.to_owned() };
    publish(&mut status, session, &verdict, now);
    (session.status.as_ref() != Some(&status)).then_some(status)
}

fn publish(
    status: &mut BrowserSessionStatus,
    session: &BrowserSession,
    verdict: &Verdict,
    now: Timestamp,
) {
    let generation = session.metadata.generation;
    status.conditions = conditions(&status.conditions, verdict, generation, now);
    status.observed_generation = generation;
}

/// What an end for that reason is to people.
fn last_phase(reason: Reason) -> Phase {
    match reason {
        Reason::ClientEnded
        | Reason::Deleted
        | Reason::Released
        | Reason::ClientGaveUp
        | Reason::Disconnected => Phase::Completed,
        Reason::TimedOut | Reason::IdleTimeout | Reason::NeverConnected => Phase::TimedOut,
        _ => Phase::Failed,
    }
}

fn start_timeout(classes: &[BrowserClass], pod: &Pod) -> i32 {
    let name = pod.labels().get(names::CLASS_LABEL);
    classes
        .iter()
        .find(|class| Some(&class.name_any()) == name)
        .map_or(DEFAULT_START_TIMEOUT_SECONDS, |class| class.spec.start_timeout_seconds)
}

fn matched(pod: &Pod) -> usize {
    pod.annotations().get(MATCHED_ANNOTATION).and_then(|index| index.parse().ok()).unwrap_or(0)
}

fn node(pod: &Pod) -> Option<String> {
    pod.spec.as_ref()?.node_name.clone()
}

/// What is left of so many seconds from `begin`; `None` when they have passed.
fn until(begin: Timestamp, seconds: i32, now: Timestamp) -> Option<Duration> {
    positive((begin + SignedDuration::from_secs(seconds.into())).duration_since(now))
}

fn positive(duration: SignedDuration) -> Option<Duration> {
    Duration::try_from(duration).ok().filter(|duration| !duration.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn classes(extra: Value) -> Vec<BrowserClass> {
        let mut spec =
            json!({"browserName": "chrome", "versions": [{"version": "1", "image": "i"}]});
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
        let turn = |_: &str, capacity: Option<usize>| {
            Some(match capacity {
                Some(capacity) if before >= capacity => Turn::Wait {
                    reason: Reason::CapacityReached,
                    position: i32::try_from(before - capacity + 1).unwrap(),
                },
                _ => Turn::Go,
            })
        };
        match decide(&Seen {
            session,
            pod,
            gone: None,
            classes,
            turn: &turn,
            has_services: true,
            has_own_service: false,
            now,
        }) {
            Step::ApplyServices => "apply services".to_owned(),
            Step::Wait(None) => "wait".to_owned(),
            Step::Wait(Some(pause)) => format!("wait {}", pause.as_secs()),
            Step::CreatePod(placement) => format!("create {}", placement.version.image),
            Step::Bind { ip, within, .. } => format!("bind {ip} within {}", within.as_secs()),
            Step::Report(status) => told("report", &status),
            Step::End(status) => told("end", &status),
            Step::DeletePod => "delete pod".to_owned(),
            Step::DeleteService => "delete service".to_owned(),
            Step::DeleteSession => "delete session".to_owned(),
        }
    }

    fn told(what: &str, status: &BrowserSessionStatus) -> String {
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
        let asked_to_end = session(json!({"metadata": {"annotations": {
            "browser-operator.io/end": "ClientGaveUp",
        }}}));
        let blank = pod(json!({}));
        let up = pod(json!({"status": {"podIP": "10.0.0.1"}}));
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
            (Some(&deleted), Some(&up), &all, 0, 0, "delete pod"),
            (Some(&deleted), None, &all, 0, 0, "wait"),
            (Some(&fresh), None, &all, 5, 0, "create i"),
            (Some(&fresh), None, &full, 0, 0, "create i"),
            (Some(&fresh), None, &full, 1, 0, "wait 2"),
            (Some(&fresh), None, &full, 1, 2, "report Pending CapacityReached Ready at 1"),
            (Some(&waiting), None, &full, 16, 9, "report Pending CapacityReached Ready at 16"),
            (Some(&waiting), None, &full, 4, 9, "report Pending CapacityReached Ready at 4"),
            (Some(&waiting), None, &full, 5, 9, "report Pending CapacityReached Ready at 8"),
            (Some(&waiting), None, &full, 0, 9, "create i"),
            (Some(&misplaced), None, &all, 0, 0, "end Failed ClassNotFound Ready+Stalled"),
            (Some(&fresh), Some(&blank), &all, 0, 0, "wait 2"),
            (Some(&fresh), Some(&blank), &all, 0, 2, "report Starting Starting Ready"),
            (Some(&fresh), Some(&imageless), &all, 0, 2, "report Starting ImageUnavailable Ready"),
            (
                Some(&fresh),
                Some(&imageless),
                &all,
                0,
                60,
                "end Failed ImageUnavailable Ready+Stalled",
            ),
            (Some(&fresh), Some(&blank), &all, 0, 60, "end Failed StartTimedOut Ready+Stalled"),
            (Some(&fresh), Some(&up), &all, 0, 0, "bind 10.0.0.1 within 60"),
            (Some(&fresh), Some(&up), &all, 0, 59, "bind 10.0.0.1 within 1"),
            (Some(&reported), None, &all, 0, 5, "end Failed PodDeleted Ready+Stalled"),
            (Some(&ready), Some(&up), &all, 0, 900, "wait"),
            (Some(&ready), Some(&ended), &all, 0, 9, "end Completed ClientEnded Ready+Stalled"),
            (Some(&ready), Some(&going), &all, 0, 9, "end Failed PodDeleted Ready+Stalled"),
            (Some(&ready), Some(&drained), &all, 0, 9, "end Failed NodeDrained Ready+Stalled"),
            (Some(&ready), Some(&killed), &all, 0, 9, "end Failed OutOfMemory Ready+Stalled"),
            (Some(&released), Some(&up), &all, 0, 9, "end Completed Released Ready+Stalled"),
            (Some(&late), Some(&up), &all, 0, 9, "end Completed ClientEnded Ready+Stalled"),
            (Some(&fresh), Some(&refused), &all, 0, 1, "end Failed Unschedulable Ready+Stalled"),
            (Some(&ready), None, &all, 0, 9, "end Failed PodDeleted Ready+Stalled"),
            (
                Some(&asked_to_end),
                Some(&up),
                &all,
                0,
                1,
                "end Completed ClientGaveUp Ready+Stalled",
            ),
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
    fn services_that_are_gone_are_made_again_while_the_session_lives() {
        let all = classes(json!({}));
        let (fresh, up) = (session(json!({})), pod(json!({"status": {"podIP": "10.0.0.1"}})));
        let over = session(json!({"status": {"phase": "Completed"}}));
        let now: Timestamp = "2026-01-01T00:00:09Z".parse().unwrap();
        let turn = |_: &str, _| Some(Turn::Go);
        let step = |session| {
            decide(&Seen {
                session: Some(session),
                pod: Some(&up),
                gone: None,
                classes: &all,
                turn: &turn,
                has_services: false,
                has_own_service: false,
                now,
            })
        };
        assert!(matches!(step(&fresh), Step::ApplyServices));
        assert!(matches!(step(&over), Step::DeletePod));
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
            (Some(&reported), None, Some(Absence::Pod)),
            (Some(&misplaced), None, Some(Absence::Class)),
            (Some(&malformed), None, None),
            (Some(&reported), Some(&up), None),
        ] {
            let turn = |_: &str, _| Some(Turn::Go);
            let seen = Seen {
                session,
                pod,
                gone: None,
                classes: &all,
                turn: &turn,
                has_services: true,
                has_own_service: false,
                now,
            };
            assert_eq!(rests_on(&seen, &decide(&seen)), expected);
        }
    }

    #[test]
    fn what_has_been_said_is_not_said_again() {
        let all = classes(json!({}));
        let (fresh, blank) = (session(json!({})), pod(json!({})));
        let born: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let seen = |session: &BrowserSession, now| {
            let turn = |_: &str, _| Some(Turn::Go);
            match decide(&Seen {
                session: Some(session),
                pod: Some(&blank),
                gone: None,
                classes: &all,
                turn: &turn,
                has_services: true,
                has_own_service: false,
                now,
            }) {
                Step::Report(status) => Some(*status),
                _ => None,
            }
        };
        let status = seen(&fresh, born + SignedDuration::from_secs(2)).unwrap();
        let told = BrowserSession { status: Some(status), ..fresh.clone() };
        assert_eq!(seen(&told, born + SignedDuration::from_secs(3)), None);
    }

    #[test]
    fn a_pod_that_went_unseen_leaves_its_word() {
        let now = "2026-01-01T00:00:09Z".parse().unwrap();
        let all = classes(json!({}));
        // A young session's status has no pod yet.
        for status in [json!({"phase": "Ready", "podName": "s-1"}), json!({"phase": "Pending"})] {
            let session = session(json!({"status": status}));
            let message = "the pod's node is gone".to_owned();
            let seen = Seen {
                session: Some(&session),
                pod: None,
                gone: Some(Trouble { reason: Reason::NodeLost, message }),
                classes: &all,
                turn: &|_, _| Some(Turn::Go),
                has_services: true,
                has_own_service: false,
                now,
            };
            let Step::End(ended) = decide(&seen) else { panic!("it ends: {status}") };
            assert_eq!(ended.conditions[0].reason, "NodeLost");
        }
    }
}
