//! One look at one session: fetch, decide, act.

use std::{error::Error as _, net::IpAddr, sync::Arc, time::Duration};

use agent_api::{
    PodRef,
    bind::BindReply,
    token::{InstallationKey, PodToken},
};
use crds::{BrowserClass, BrowserSession, BrowserSessionStatus, Phase, Reason, names};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::{Client, ResourceExt};
use placement::Placement;
use tokio::sync::Notify;
use webdriver::capabilities::CapabilitySet;

use crate::{
    apply::{self, Writer},
    bind::{self, Error as BindError},
    build::{self, Settings, pod_name},
    confirm,
    decide::{self, Absence, Bound, Seen, Step, decide, rests_on},
    events::Events,
    key::Key,
    metrics::Metrics,
    observe::{Observed, live_address, observe},
    queue::Next,
    shared::Shared,
    watches::{Keys, Listener, Stores},
};

/// How long a pod that was made may take to be seen.
const SEEN: Duration = Duration::from_secs(10);
/// How far one watch may be behind another.
const WATCH_LAG: Duration = Duration::from_secs(1);

/// What a look needs.
pub struct Context {
    pub client: Client,
    pub writer: Writer,
    pub key: InstallationKey,
    pub settings: Settings,
    pub stores: Arc<Stores>,
    pub events: Events,
    pub metrics: Metrics,
    pub clock: fn() -> Timestamp,
    /// Where keys are put that must be looked at.
    pub keys: Keys,
    /// What the watches know too.
    pub shared: Arc<Shared>,
}

impl Context {
    fn token(&self, key: &Key) -> PodToken {
        self.key.pod_token(&PodRef::new(&key.namespace, pod_name(key)))
    }
}

/// Looks at one session, and says when to look again.
pub async fn reconcile(context: Arc<Context>, key: Key, changed: Arc<Notify>) -> Next {
    match look(&context, &key, &changed).await {
        Ok(Next::Wait) if context.shared.waits(&key.uid) => Next::InLine,
        Ok(next) => next,
        // Somebody wrote before, or the watch is behind this process's own write: the next look knows more.
        Err(Error::Apply(error)) if error.code() == Some(409) => {
            tracing::debug!(uid = key.uid, namespace = key.namespace, "{error}: it has changed");
            Next::Retry
        }
        Err(error) => {
            let cause = error.source().map(ToString::to_string).unwrap_or_default();
            tracing::warn!(uid = key.uid, namespace = key.namespace, cause, "{error}");
            Next::Retry
        }
    }
}

async fn look(context: &Context, key: &Key, changed: &Notify) -> Result<Next, Error> {
    let session = context.stores.session(key);
    let pod = context.stores.pod_of(key);
    let (session, pod) = (session.as_deref(), pod.as_deref());
    let look = Look { context, key, changed };
    let watched = context.stores.classes();
    let (step, absence) = admit(context, key, session, pod, &watched);
    let is_there = match absence {
        None => false,
        Some(Absence::Session) => confirm::has_session(&context.client, key).await?,
        Some(Absence::Pod) => {
            if !confirm::has_pod(&context.client, key, &pod_name(key)).await? {
                // What it said last may have been heard meanwhile.
                let (step, _) = admit(context, key, session, pod, &watched);
                return Ok(look.take(step, session, pod).await?);
            }
            true
        }
        Some(Absence::Class) => {
            let listed = confirm::classes(&context.client).await?;
            let (step, _) = admit(context, key, session, pod, &listed);
            return Ok(look.take(step, session, pod).await?);
        }
    };
    if is_there { Ok(Next::After(WATCH_LAG)) } else { Ok(look.take(step, session, pod).await?) }
}

/// Decides. A session whose turn it is has its place from then on: two that are decided at the same time must not take
/// the same one.
fn admit<'a>(
    context: &Context,
    key: &Key,
    session: Option<&'a BrowserSession>,
    pod: Option<&'a Pod>,
    classes: &'a [BrowserClass],
) -> (Step<'a>, Option<Absence>) {
    let (shared, stores, now) = (&context.shared, &context.stores, (context.clock)());
    if let Some(pod) = pod {
        let class = pod.labels().get(names::CLASS_LABEL).map_or("", |class| class);
        shared.has_pod(stores, &context.keys, key, class);
    }
    let turn = |class: &str, capacity: Option<usize>| {
        session
            .and_then(|session| shared.turn(stores, &context.keys, session, class, capacity, now))
    };
    let has_services = session.is_none_or(|session| shared.has_services(stores, key, session));
    let has_own_service = session.is_some_and(|session| {
        session.spec.expose.is_some() && stores.has_service(&key.namespace, &pod_name(key))
    });
    let gone = if pod.is_none() { shared.why_gone(&key.uid) } else { None };
    let seen =
        Seen { session, pod, gone, classes, turn: &turn, has_services, has_own_service, now };
    let step = decide(&seen);
    let absence = rests_on(&seen, &step);
    (step, absence)
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
        match (step, session, pod) {
            (Step::Wait(pause), ..) => Ok(pause.map_or(Next::Wait, Next::After)),
            (Step::CreatePod(placement), Some(session), _) => {
                self.create_pod(session, &placement).await
            }
            (Step::Bind { ip, capabilities, within }, Some(session), Some(pod)) => {
                self.bind(session, pod, ip, capabilities, within).await
            }
            (Step::ApplyServices, Some(session), _) => {
                self.apply_services(session).await?;
                // What else there is to do is seen by another look.
                Ok(Next::After(Duration::ZERO))
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
            (Step::DeleteService, Some(session), _) => {
                self.delete_service(session).await?;
                Ok(Next::After(WATCH_LAG))
            }
            (Step::DeleteSession, Some(_), _) => {
                self.context.writer.delete_session(self.key).await?;
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
        // The store lets go of a pod before it is said why it went.
        if self.context.shared.why_gone(&key.uid).is_some() {
            return Ok(Next::After(Duration::ZERO));
        }
        let pod = build::pod(key, session, placement, &self.context.token(key).hash());
        match self.create_all(session, &pod).await {
            Ok(()) => {
                let next = self.context.shared.change(|line| line.made(&key.uid));
                self.context.keys.send_all(next);
                // The watch tells of it; if it never does, it was somebody else's.
                Ok(Next::After(SEEN))
            }
            // A quota, an admission policy, or an object that the API server does not take: it may have room, or the
            // class be mended, later.
            Err(error) if matches!(error.code(), Some(400 | 403 | 413 | 422)) => {
                let now = (self.context.clock)();
                // A Service that is refused says nothing of pods.
                let is_quota = error.is_of("Pod") && error.message().contains("exceeded quota");
                let reason = if is_quota { Reason::QuotaExceeded } else { Reason::PodRefused };
                let next = self.context.shared.change(|line| line.refused(session, reason));
                self.context.keys.send_all(next.into_iter().filter(|next| next != key).collect());
                if let Some(status) = decide::held_back(session, reason, &error.message(), now) {
                    self.write(session, status).await?;
                }
                if is_quota && self.context.shared.freed_lately(&key.namespace) {
                    return Ok(Next::After(WATCH_LAG));
                }
                Ok(Next::Refused)
            }
            Err(error) => Err(error),
        }
    }

    /// The Services first: a session that is Ready must be found by the names in its status.
    async fn create_all(&self, session: &BrowserSession, pod: &Pod) -> Result<(), apply::Error> {
        self.apply_services(session).await?;
        self.context.writer.create_pod(self.key, pod).await
    }

    /// Those that are not there.
    async fn apply_services(&self, session: &BrowserSession) -> Result<(), apply::Error> {
        let namespace = &self.key.namespace;
        if !self.has_service(names::BROWSERS_SERVICE) {
            self.apply_service(&build::browsers(namespace)).await?;
        }
        match session.spec.expose {
            Some(expose) if !self.has_service(&pod_name(self.key)) => {
                self.apply_service(&build::exposed(self.key, session, expose)).await
            }
            _ => Ok(()),
        }
    }

    async fn apply_service(&self, service: &Service) -> Result<(), apply::Error> {
        self.context.writer.apply_service(service).await?;
        self.context.shared.applied(&self.key.namespace, &service.name_any());
        Ok(())
    }

    fn has_service(&self, name: &str) -> bool {
        let Context { shared, stores, .. } = self.context;
        shared.has_service(stores, &self.key.namespace, name)
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
                .pod_of(self.key)
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
        let shared = &self.context.shared;
        if !shared.has_deleted(pod) {
            if let Some(ip) = live_address(pod) {
                let end = session.filter(|session| session.is_terminal()).and_then(|session| {
                    let ready = session.ready_condition()?;
                    Some((Reason::parse(&ready.reason)?, ready.message.clone()))
                });
                let deleted = || (Reason::Deleted, "the BrowserSession was deleted".to_owned());
                let (reason, message) = end.unwrap_or_else(deleted);
                bind::end(ip, self.context.token(self.key), reason, &message).await;
            }
            if pod.metadata.deletion_timestamp.is_none() {
                self.context.writer.delete_pod(pod).await?;
                shared.deleted(&self.context.stores, pod);
            }
        }
        match session {
            Some(session) => self.delete_service(session).await,
            None => Ok(()),
        }
    }

    /// Deletes a session's own Service; without its session it goes by its owner reference.
    async fn delete_service(&self, session: &BrowserSession) -> Result<(), apply::Error> {
        if session.spec.expose.is_none() || !self.has_service(&pod_name(self.key)) {
            return Ok(());
        }
        let name = pod_name(self.key);
        self.context.shared.service_gone(&self.key.namespace, &name);
        self.context.writer.delete_service(self.key, &name).await
    }

    /// The one place where a status is written: with its log line, Event and metric.
    async fn write(
        &self,
        session: &BrowserSession,
        status: BrowserSessionStatus,
    ) -> Result<(), apply::Error> {
        let phase = status.phase;
        let ready = status.conditions.first().cloned();
        let written = self.context.writer.write_status(self.key, session, status).await?;
        self.context.stores.wrote(written);
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
        // A new position in the queue is no event.
        let old = session.ready_condition().map(|old| old.reason.as_str());
        if old == Some(condition.reason.as_str()) && !phase.is_terminal() {
            return Ok(());
        }
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
