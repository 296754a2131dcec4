//! The status that a session gets: how far it is, that it is Ready, why it has ended. Pure.

use agent_api::{bind::BindReply, installation_key::InstallationKey};
use crds::{
    BrowserSession, BrowserSessionStatus, Phase, ProxyStatus, Reason, Sandbox,
    conditions::{State, Verdict, conditions},
    names::{self, Protocol},
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::Time};
use kube::ResourceExt;

use crate::{build::object_name, pods::Problem, session_key::SessionKey, settings::Settings};

/// The most characters of a message in a status.
const MAX_MESSAGE: usize = 1024;

/// How far a session is that is not Ready.
pub fn progress(
    session: &BrowserSession,
    phase: Phase,
    problem: Problem,
    pod: Option<&Pod>,
    queue_position: Option<i32>,
    now: Timestamp,
) -> BrowserSessionStatus {
    let mut status = session.status.clone().unwrap_or_default();
    status.phase = Some(phase);
    status.pod_name = status.pod_name.or_else(|| pod.map(ResourceExt::name_any));
    status.class_name = pod.and_then(|pod| label(pod, names::CLASS_LABEL));
    status.region = pod.and_then(|pod| label(pod, names::REGION_LABEL));
    status.node_name = pod.and_then(node);
    status.queue_position = queue_position;
    set_conditions(&mut status, session, State::InProgress, problem, now);
    status
}

/// A session whose pod the API server refuses for now.
pub fn pod_refused(
    session: &BrowserSession,
    problem: Problem,
    now: Timestamp,
) -> BrowserSessionStatus {
    let mut status = session.status.clone().unwrap_or_default();
    status.phase = Some(Phase::Pending);
    // It was admitted, so it has no position.
    status.queue_position = None;
    set_conditions(&mut status, session, State::InProgress, problem, now);
    status
}

pub fn ended(session: &BrowserSession, problem: Problem, now: Timestamp) -> BrowserSessionStatus {
    let mut status = session.status.clone().unwrap_or_default();
    let phase = final_phase(problem.reason);
    status.phase = Some(phase);
    // A limit that the spec sets is no fault.
    let state = if phase == Phase::Failed { State::Failed } else { State::EndedWell };
    status.ended_at = Some(Time(now));
    status.web_socket_url = None;
    status.web_driver_url = None;
    status.cdp_url = None;
    status.queue_position = None;
    set_conditions(&mut status, session, state, problem, now);
    status
}

/// What a session was bound to.
pub struct Binding<'a> {
    pub key: &'a SessionKey,
    pub pod: &'a Pod,
    pub reply: BindReply,
    /// The class's; absent where the class is gone.
    pub sandbox: Option<Sandbox>,
    /// How long it may live.
    pub timeout_seconds: i32,
    /// The generation whose routes its agent was given.
    pub generation: Option<i64>,
}

/// A session whose pod has just been bound.
pub fn ready(
    session: &BrowserSession,
    binding: Binding<'_>,
    installation_key: &InstallationKey,
    settings: &Settings,
    now: Timestamp,
) -> BrowserSessionStatus {
    let Binding { key, pod, reply, sandbox, timeout_seconds, generation } = binding;
    let session_id = installation_key.session_id(&key.uid);
    let path = format!("/session/{session_id}");
    // http becomes ws, https becomes wss.
    let socket_base = settings.gateway_url.replacen("http", "ws", 1);
    let web_socket_url = reply.bidi.then(|| format!("{socket_base}{path}"));
    let is_classic = session.protocol() == Protocol::Classic;
    let mut capabilities = reply.capabilities;
    if let Some(url) = &web_socket_url {
        capabilities.insert("webSocketUrl".to_owned(), url.clone().into());
    }
    let pod_name = pod.name_any();
    let (service_name, host) = match session.spec.expose {
        Some(_) => (object_name(key), object_name(key)),
        None => {
            // A pod of the version before has its name from another Service.
            let subdomain = pod.spec.as_ref().and_then(|spec| spec.subdomain.as_deref());
            let service = subdomain.unwrap_or(names::BROWSERS_SERVICE);
            (service.to_owned(), format!("{pod_name}.{service}"))
        }
    };
    let expires = now + SignedDuration::from_secs(timeout_seconds.into());
    // A credential: it carries a link that expires with the session.
    let cdp_url = (reply.dev_tools && is_classic).then(|| {
        let link = installation_key.link(&session_id, expires.as_second());
        format!("{socket_base}/cdp/{session_id}?signingKey={link}")
    });
    let previous = session.status.clone().unwrap_or_default();
    let mut status = BrowserSessionStatus {
        phase: Some(Phase::Ready),
        session_id: Some(session_id.to_string()),
        web_socket_url,
        web_driver_url: is_classic.then(|| format!("{}{path}", settings.gateway_url)),
        cdp_url,
        class_name: label(pod, names::CLASS_LABEL),
        region: label(pod, names::REGION_LABEL),
        providers: providers(pod),
        sandbox,
        pod_name: Some(pod_name),
        pod_ip: pod.status.as_ref().and_then(|status| status.pod_ip.clone()),
        node_name: node(pod),
        service_name: Some(service_name),
        address: Some(format!("{host}.{}.svc.{}", key.namespace, settings.cluster_domain)),
        capabilities: Some(capabilities),
        queue_position: None,
        proxy: generation.filter(|generation| *generation > FIRST).map(in_force),
        started_at: Some(Time(now)),
        expires_at: Some(Time(expires)),
        ended_at: None,
        conditions: previous.conditions,
        observed_generation: None,
    };
    let message = "the browser can be driven".to_owned();
    let problem = Problem { reason: Reason::BrowserReady, message };
    set_conditions(&mut status, session, State::Ready, problem, now);
    status
}

/// The generation of an object that has never changed.
const FIRST: i64 = 1;

fn in_force(generation: i64) -> ProxyStatus {
    ProxyStatus { generation, refused_generation: None, message: None }
}

/// Whether the routes of the session's spec wait to be given to its agent.
pub fn routes_wait(session: &BrowserSession) -> bool {
    let status = session.status.as_ref().and_then(|status| status.proxy.as_ref());
    let tried = status.map_or(FIRST, |s| s.refused_generation.unwrap_or(FIRST).max(s.generation));
    session.metadata.generation.is_some_and(|generation| generation > tried)
}

/// A session whose agent has the routes of its spec, or cannot be given them.
pub fn routed(session: &BrowserSession, refused: Option<&Problem>) -> BrowserSessionStatus {
    let mut status = session.status.clone().unwrap_or_default();
    let generation = session.metadata.generation.unwrap_or(FIRST);
    status.proxy = Some(match refused {
        None => in_force(generation),
        Some(problem) => ProxyStatus {
            generation: status.proxy.map_or(FIRST, |proxy| proxy.generation),
            refused_generation: Some(generation),
            message: Some(problem.message.chars().take(MAX_MESSAGE).collect()),
        },
    });
    status.observed_generation = session.metadata.generation;
    for condition in &mut status.conditions {
        condition.observed_generation = session.metadata.generation;
    }
    status
}

fn set_conditions(
    status: &mut BrowserSessionStatus,
    session: &BrowserSession,
    state: State,
    problem: Problem,
    now: Timestamp,
) {
    let Problem { reason, message } = problem;
    let verdict = Verdict { state, reason, message };
    let generation = session.metadata.generation;
    status.conditions = conditions(&status.conditions, &verdict, generation, now);
    status.observed_generation = generation;
}

/// What an end for that reason is to people.
fn final_phase(reason: Reason) -> Phase {
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

/// The providers of the session's features, which its pod was assigned with.
fn providers(pod: &Pod) -> Vec<String> {
    let names = pod.annotations().get(names::PROVIDERS_ANNOTATION);
    names.into_iter().flat_map(|names| names.split(',')).map(ToOwned::to_owned).collect()
}

fn label(pod: &Pod, name: &str) -> Option<String> {
    pod.labels().get(name).cloned()
}

fn node(pod: &Pod) -> Option<String> {
    pod.spec.as_ref()?.node_name.clone()
}
