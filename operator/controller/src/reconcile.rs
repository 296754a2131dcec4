//! One look at one session: fetch, decide, act.

use std::{collections::HashSet, error::Error as _, net::IpAddr, sync::Arc, time::Duration};

use crds::{BrowserClass, BrowserSession, BrowserSessionStatus, Phase, Reason, names};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::{Client, ResourceExt};
use parking_lot::Mutex;
use placement::Placement;
use tokio::sync::Notify;
use wire::{
    bind::BindReply,
    capabilities::CapabilitySet,
    token::{InstallationKey, PodToken},
};

use crate::{
    apply,
    bind::{self, Error as BindError},
    build::{self, Settings, pod_name},
    confirm,
    decide::{self, Absence, Bound, Seen, Step, decide, rests_on},
    events::Events,
    key::Key,
    metrics::Metrics,
    observe::{Observed, live_address, observe},
    queue::Next,
    turn,
    watches::Stores,
};

/// How far one watch may be behind another.
const WATCH_LAG: Duration = Duration::from_secs(1);

/// What a look needs.
pub struct Context {
    pub client: Client,
    pub key: InstallationKey,
    pub settings: Settings,
    pub stores: Stores,
    pub events: Events,
    pub metrics: Metrics,
    pub clock: fn() -> Timestamp,
    /// The uids of sessions that this process has given a place in their class.
    pub admitted: Mutex<HashSet<String>>,
    /// Namespaces whose headless Service this process has applied.
    pub named: Mutex<HashSet<String>>,
}

impl Context {
    fn token(&self, key: &Key) -> PodToken {
        self.key.pod_token(&key.namespace, &pod_name(key))
    }
}

/// Looks at one session, and says when to look again.
pub async fn reconcile(context: Arc<Context>, key: Key, changed: Arc<Notify>) -> Next {
    match look(&context, &key, &changed).await {
        Ok(next) => next,
        Err(error) => {
            let cause = error.source().map(ToString::to_string).unwrap_or_default();
            tracing::warn!(uid = key.uid, namespace = key.namespace, cause, "{error}");
            Next::Retry
        }
    }
}

async fn look(context: &Context, key: &Key, changed: &Notify) -> Result<Next, Error> {
    let session = context.stores.session(key);
    let pod = context.stores.pod(&key.namespace, &pod_name(key)).filter(|pod| {
        // A pod of this name that is not this session's is not ours to touch.
        Key::of_pod(pod).as_ref() == Some(key)
    });
    let (session, pod) = (session.as_deref(), pod.as_deref());
    let look = Look { context, key, changed };
    let watched: Vec<BrowserClass> =
        context.stores.classes().iter().map(|class| BrowserClass::clone(class)).collect();
    let (step, absence) = admit(context, key, session, pod, &watched);
    let is_there = match absence {
        None => false,
        Some(Absence::Session) => confirm::has_session(&context.client, key).await?,
        Some(Absence::Pod) => confirm::has_pod(&context.client, key, &pod_name(key)).await?,
        Some(Absence::Class) => {
            let listed = confirm::classes(&context.client).await?;
            let (step, _) = admit(context, key, session, pod, &listed);
            return Ok(look.take(step, session, pod).await?);
        }
    };
    if is_there { Ok(Next::After(WATCH_LAG)) } else { Ok(look.take(step, session, pod).await?) }
}

/// Decides, and keeps the place of a session that gets its pod, in one go: two that are decided at the same time must
/// not take the same place.
fn admit<'a>(
    context: &Context,
    key: &Key,
    session: Option<&'a BrowserSession>,
    pod: Option<&'a Pod>,
    classes: &'a [BrowserClass],
) -> (Step<'a>, Option<Absence>) {
    let mut admitted = context.admitted.lock();
    let (step, absence) = {
        let line = |class: &str| {
            session.map_or(0, |session| place_in_line(context, &admitted, classes, session, class))
        };
        let now = (context.clock)();
        let seen = Seen { session, pod, classes, place_in_line: &line, now };
        let step = decide(&seen);
        let absence = rests_on(&seen, &step);
        (step, absence)
    };
    if matches!(step, Step::CreatePod(_)) {
        admitted.insert(key.uid.clone());
    } else if session.is_none_or(BrowserSession::is_terminal) {
        admitted.remove(&key.uid);
    }
    (step, absence)
}

fn place_in_line(
    context: &Context,
    admitted: &HashSet<String>,
    classes: &[BrowserClass],
    session: &BrowserSession,
    class: &str,
) -> usize {
    let class_of = |other: &BrowserSession| {
        other.status.as_ref().and_then(|status| status.class_name.clone()).or_else(|| {
            placement::place(&other.spec, classes).ok().map(|placement| placement.class.name_any())
        })
    };
    let is_admitted = |other: &BrowserSession| {
        context.stores.has_pod(other)
            || other.metadata.uid.as_ref().is_some_and(|uid| admitted.contains(uid))
    };
    let all = context.stores.sessions();
    let others = all
        .iter()
        .filter(|other| !other.is_terminal() && class_of(other).as_deref() == Some(class))
        .map(|other| (other.as_ref(), is_admitted(other)));
    turn::place_in_line(session, others)
}

/// Why a look failed.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Apply(#[from] apply::Error),
    #[error("confirm with the API server")]
    Confirm(#[from] kube::Error),
}

struct Look<'a> {
    context: &'a Context,
    key: &'a Key,
    changed: &'a Notify,
}

impl Look<'_> {
    async fn take(
        &self,
        step: Step<'_>,
        session: Option<&BrowserSession>,
        pod: Option<&Pod>,
    ) -> Result<Next, apply::Error> {
        let client = &self.context.client;
        match (step, session, pod) {
            (Step::Wait(pause), ..) => Ok(pause.map_or(Next::Wait, Next::After)),
            (Step::CreatePod(placement), Some(session), _) => {
                self.create_pod(session, &placement).await
            }
            (Step::Bind { ip, capabilities, within }, Some(session), Some(pod)) => {
                self.bind(session, pod, ip, capabilities, within).await
            }
            (Step::Report(status), Some(session), _) => {
                self.write(session, *status).await?;
                Ok(Next::Wait)
            }
            (Step::End(status), Some(session), pod) => {
                self.end(session, *status, pod).await?;
                Ok(Next::Wait)
            }
            (Step::DeletePod, session, Some(pod)) => {
                self.take_away(session, pod).await?;
                Ok(Next::Wait)
            }
            (Step::DeleteSession, Some(_), _) => {
                apply::delete_session(client, self.key).await?;
                Ok(Next::Wait)
            }
            _ => Ok(Next::Wait),
        }
    }

    async fn create_pod(
        &self,
        session: &BrowserSession,
        placement: &Placement<'_>,
    ) -> Result<Next, apply::Error> {
        let key = self.key;
        let pod = build::pod(key, session, placement, &self.context.token(key).hash());
        match self.create_all(session, &pod).await {
            Ok(()) => Ok(Next::Wait),
            // A quota, an admission policy, or an object that the API server does not take: it may have room, or the
            // class be mended, later.
            Err(error) if matches!(error.code(), Some(400 | 403 | 413 | 422)) => {
                self.context.admitted.lock().remove(&key.uid);
                let now = (self.context.clock)();
                let is_quota = error.message().contains("exceeded quota");
                let reason = if is_quota { Reason::QuotaExceeded } else { Reason::PodRefused };
                if let Some(status) = decide::held_back(session, reason, &error.message(), now) {
                    self.write(session, status).await?;
                }
                Ok(Next::Retry)
            }
            Err(error) => Err(error),
        }
    }

    /// The Services first: a session that is Ready must be found by the names in its status.
    async fn create_all(&self, session: &BrowserSession, pod: &Pod) -> Result<(), apply::Error> {
        let (client, key) = (&self.context.client, self.key);
        if !self.context.named.lock().contains(&key.namespace) {
            apply::apply_service(client, &build::browsers(&key.namespace)).await?;
            self.context.named.lock().insert(key.namespace.clone());
        }
        if let Some(expose) = session.spec.expose {
            apply::apply_service(client, &build::exposed(key, session, expose)).await?;
        }
        apply::create_pod(client, key, pod).await
    }

    async fn bind(
        &self,
        session: &BrowserSession,
        pod: &Pod,
        ip: IpAddr,
        capabilities: CapabilitySet,
        within: Duration,
    ) -> Result<Next, apply::Error> {
        let session_id = self.context.key.session_id(&self.key.uid).to_string();
        let request = bind::request(session, &self.key.uid, session_id.clone(), capabilities);
        let binding = bind::bind(ip, self.context.token(self.key), &request, within);
        let mut binding = std::pin::pin!(binding);
        let outcome = loop {
            tokio::select! {
                outcome = &mut binding => break outcome,
                () = self.changed.notified() => if !self.is_wanted() {
                    return Ok(Next::Wait);
                },
            }
        };
        let now = (self.context.clock)();
        match outcome {
            Ok(reply) => {
                for warning in &reply.warnings {
                    self.context.events.tell(session, true, Reason::BrowserReady, warning);
                }
                // As it is by now: a report may have been written since the look began, or the end by another
                // controller.
                let session = self.context.stores.session(self.key);
                let Some(session) = session.filter(|s| self.is_wanted() && !s.is_ready()) else {
                    return Ok(Next::Wait);
                };
                let status = self.ready(&session, pod, session_id, reply, now);
                self.write(&session, status).await?;
                Ok(Next::Wait)
            }
            Err(BindError::Refused { reason, message }) => {
                let status = decide::refused(session, reason, &message, now);
                self.end(session, status, Some(pod)).await?;
                Ok(Next::Wait)
            }
            // Time is up, and the next look says so.
            Err(error @ BindError::NoAnswer(_)) => {
                tracing::warn!(uid = self.key.uid, "{error}");
                Ok(Next::Retry)
            }
        }
    }

    /// Whether the session still waits for its pod, and the pod is still there.
    fn is_wanted(&self) -> bool {
        let stores = &self.context.stores;
        let session = stores.session(self.key).is_some_and(|session| {
            session.metadata.deletion_timestamp.is_none()
                && !session.is_terminal()
                && !session.annotations().contains_key(names::END_ANNOTATION)
        });
        session
            && stores
                .pod(&self.key.namespace, &pod_name(self.key))
                .is_some_and(|pod| matches!(observe(&pod), Observed::Reachable { .. }))
    }

    fn ready(
        &self,
        session: &BrowserSession,
        pod: &Pod,
        session_id: String,
        reply: BindReply,
        now: Timestamp,
    ) -> BrowserSessionStatus {
        let settings = &self.context.settings;
        let path = format!("/session/{session_id}");
        let is_classic = session.protocol() == names::Protocol::Classic;
        // http becomes ws, https becomes wss.
        let socket_base = settings.gateway_url.replacen("http", "ws", 1);
        let web_socket_url = reply.bidi.then(|| format!("{socket_base}{path}"));
        let mut capabilities = reply.capabilities;
        if let Some(url) = &web_socket_url {
            capabilities.insert("webSocketUrl".to_owned(), url.clone().into());
        }
        let name = pod.name_any();
        let (service_name, host) = match session.spec.expose {
            Some(_) => (name.clone(), name.clone()),
            None => {
                let service = names::BROWSERS_SERVICE;
                (service.to_owned(), format!("{name}.{service}"))
            }
        };
        let address = format!("{host}.{}.svc.{}", self.key.namespace, settings.cluster_domain);
        let class = pod.labels().get(names::CLASS_LABEL).cloned().unwrap_or_default();
        let sandbox = self
            .context
            .stores
            .classes()
            .iter()
            .find(|candidate| candidate.name_any() == class)
            .map(|class| class.spec.sandbox);
        let bound = Bound {
            pod,
            session_id,
            web_socket_url,
            web_driver_url: is_classic.then(|| format!("{}{path}", settings.gateway_url)),
            service_name,
            address,
            capabilities,
            sandbox,
        };
        decide::ready(session, bound, now)
    }

    async fn end(
        &self,
        session: &BrowserSession,
        status: BrowserSessionStatus,
        pod: Option<&Pod>,
    ) -> Result<(), apply::Error> {
        let ended = BrowserSession { status: Some(status.clone()), ..session.clone() };
        self.write(session, status).await?;
        match pod {
            Some(pod) => self.take_away(Some(&ended), pod).await,
            None => self.delete_service(session).await,
        }
    }

    /// Tells a live agent why, then deletes the pod and the session's own Service.
    async fn take_away(
        &self,
        session: Option<&BrowserSession>,
        pod: &Pod,
    ) -> Result<(), apply::Error> {
        let client = &self.context.client;
        if let Some(ip) = live_address(pod) {
            let end = session.filter(|session| session.is_terminal()).and_then(|session| {
                let ready = session.ready_condition()?;
                Some((Reason::parse(&ready.reason)?, ready.message.clone()))
            });
            let (reason, message) = end
                .unwrap_or_else(|| (Reason::Deleted, "the BrowserSession was deleted".to_owned()));
            bind::end(ip, self.context.token(self.key), reason, &message).await;
        }
        if pod.metadata.deletion_timestamp.is_none() {
            apply::delete_pod(client, pod).await?;
        }
        match session {
            Some(session) => self.delete_service(session).await,
            None => Ok(()),
        }
    }

    /// Deletes a session's own Service; without its session it goes by its owner reference.
    async fn delete_service(&self, session: &BrowserSession) -> Result<(), apply::Error> {
        if session.spec.expose.is_none() {
            return Ok(());
        }
        apply::delete_service(&self.context.client, self.key, &pod_name(self.key)).await
    }

    /// The one place where a status is written: with its log line, Event and metric.
    async fn write(
        &self,
        session: &BrowserSession,
        status: BrowserSessionStatus,
    ) -> Result<(), apply::Error> {
        let phase = status.phase;
        let ready = status.conditions.first().cloned();
        apply::write_status(&self.context.client, self.key, session, status).await?;
        let Some((phase, condition)) = phase.zip(ready) else { return Ok(()) };
        let Some(reason) = Reason::parse(&condition.reason) else { return Ok(()) };
        tracing::info!(
            uid = self.key.uid,
            namespace = self.key.namespace,
            ?phase,
            %reason,
            message = condition.message,
            "session"
        );
        let is_warning = phase == Phase::Failed
            || !matches!(reason, Reason::Starting | Reason::BrowserReady) && !phase.is_terminal();
        self.context.events.tell(session, is_warning, reason, &condition.message);
        if phase.is_terminal() {
            self.context.metrics.ended(reason);
        } else if phase == Phase::Ready
            && let Some(created) = session.creation_timestamp()
        {
            let took = (self.context.clock)().duration_since(created.0);
            self.context.metrics.ready(took.as_secs_f64());
        }
        Ok(())
    }
}
