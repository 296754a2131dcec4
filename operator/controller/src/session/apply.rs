//! Carries out a step. Nothing here decides what a session needs.

use std::{net::IpAddr, time::Duration};

use agent_api::{End, bind::Egress};
use crds::{BrowserClass, BrowserSession, BrowserSessionStatus, Phase, Reason, names};
use k8s_openapi::api::core::v1::{Pod, Secret, Service};
use kube::ResourceExt;
use parking_lot::Mutex;
use placement::{Placement, ProxyCredentials};
use tokio::{sync::Notify, time::sleep};
use webdriver::{capabilities::CapabilitySet, vendor_options};

use super::{
    agent_calls,
    context::Context,
    decide::{Routes, Slow, Step, slow_start},
    egress, status,
};
use crate::{
    build::{self, Assignment, Blueprint, Template, cold_pod, object_name},
    cache::controller_label,
    class,
    limits::Place,
    placing::class_of,
    pods::{Observed, Problem, StartLimits, live_address, observe, pod_ref},
    session_key::SessionKey,
    work_queue::Action,
    writer,
};

/// How long a pod that was created may take to be seen.
const POD_SEEN_TIMEOUT: Duration = Duration::from_secs(10);
/// How far one watch may be behind another.
pub const WATCH_LAG: Duration = Duration::from_secs(1);

/// One reconcile of one session.
pub struct Reconciler<'a> {
    pub context: &'a Context,
    pub key: &'a SessionKey,
    /// Notified of changes while the reconcile runs.
    pub changed: &'a Notify,
    /// The right to take a step, which a bind gives up while it waits for its agent.
    pub place: Mutex<Place<'a>>,
}

impl Reconciler<'_> {
    pub async fn apply(&self, step: Step<'_>) -> Result<Action, writer::Error> {
        match step {
            Step::Wait(pause) => Ok(pause.map_or(Action::AwaitChange, Action::RequeueAfter)),
            Step::CreatePod { session, placement, template } => {
                self.create_pod(session, &self.cold_pod(session, &placement, &template)).await
            }
            Step::Bind { session, pod, ip, capabilities, credentials } => {
                self.bind(session, pod, ip, capabilities, &credentials).await
            }
            Step::Route { session, pod, ip, routes } => self.route(session, pod, ip, routes).await,
            Step::ApplyServices { session } => {
                self.apply_services(session).await?;
                // What else there is to do is seen by another reconcile.
                Ok(Action::RequeueAfter(Duration::ZERO))
            }
            Step::Report { session, status } => {
                self.write_status(session, *status).await?;
                Ok(Action::AwaitChange)
            }
            Step::End { session, pod, status } => {
                self.end(session, *status, pod).await?;
                Ok(Action::AwaitChange)
            }
            Step::DeletePod { session, pod } => {
                self.delete_pod(session, pod).await?;
                Ok(Action::AwaitChange)
            }
            Step::DeleteService { session } => {
                self.delete_own_service(session).await?;
                Ok(Action::RequeueAfter(WATCH_LAG))
            }
            Step::DeleteCredentials => {
                let Context { settings, stores, writer, .. } = self.context;
                let (name, uid) = (self.key.brought_name(), stores.brought_uid(self.key));
                writer.delete_seen::<Secret>(&settings.operator_namespace, &name, uid).await?;
                Ok(Action::RequeueAfter(WATCH_LAG))
            }
            Step::DeleteSession => {
                self.context.writer.delete_session(self.key).await?;
                Ok(Action::AwaitChange)
            }
        }
    }

    async fn create_pod(
        &self,
        session: &BrowserSession,
        pod: &Pod,
    ) -> Result<Action, writer::Error> {
        let Context { gate, work, .. } = self.context;
        self.context.history.told_of(&self.key.uid).await;
        // The store lets go of a pod before its tombstone is there.
        if self.context.tombstones.get(&self.key.uid).is_some() {
            return Ok(Action::RequeueAfter(Duration::ZERO));
        }
        match self.create_objects(session, pod).await {
            Ok(()) => {
                gate.pod_created(work, self.key);
                // The watch tells of it; if it never does, it was somebody else's.
                Ok(Action::RequeueAfter(POD_SEEN_TIMEOUT))
            }
            // A quota, an admission policy, or an object that the API server does not take: it may have room, or the
            // class be mended, later.
            Err(error) if matches!(error.code(), Some(400 | 403 | 413 | 422)) => {
                // A Service or a NetworkPolicy that is refused says nothing of pods.
                let is_quota = error.is_of("Pod") && error.message().contains("exceeded quota");
                let reason = if is_quota {
                    Reason::QuotaExceeded
                } else if error.is_foreign() && error.is_of("NetworkPolicy") {
                    Reason::NetworkPolicyConflict
                } else if error.is_foreign() {
                    Reason::ServiceConflict
                } else {
                    Reason::PodRefused
                };
                gate.pod_refused(work, self.key, session, reason);
                // Not a policy of the namespace: what the class makes is no pod.
                if error.code() == Some(422) && error.is_of("Pod") {
                    let message = error.message();
                    self.context.observations.failed(pod, Problem { reason, message });
                }
                let problem = Problem { reason, message: error.message() };
                let status = status::pod_refused(session, problem, (self.context.clock)());
                if session.status.as_ref() != Some(&status) {
                    self.write_status(session, status).await?;
                }
                if is_quota && gate.quota_freed_lately(&self.key.namespace) {
                    return Ok(Action::RequeueAfter(WATCH_LAG));
                }
                Ok(Action::RetryRefused)
            }
            Err(error) => Err(error),
        }
    }

    /// A pod for this session alone, which has it from its creation.
    fn cold_pod(
        &self,
        session: &BrowserSession,
        placement: &Placement<'_>,
        template: &Template,
    ) -> Pod {
        let pod = cold_pod(self.key);
        let blueprint = Blueprint::cold(&session.spec, placement, template);
        let blank = build::pod(&pod, &blueprint, &self.context.token(&pod).hash());
        let mut pod = Assignment::new(self.key, session, placement, template).apply(blank);
        pod.labels_mut().extend(controller_label(&self.context.settings.controller_name));
        pod
    }

    /// The walls and the Services first: a session that is Ready must be found by the names in its status.
    async fn create_objects(
        &self,
        session: &BrowserSession,
        pod: &Pod,
    ) -> Result<(), writer::Error> {
        let Context { policies, writer, .. } = self.context;
        policies.ensure(&self.key.namespace, pod.labels()).await?;
        self.apply_services(session).await?;
        writer.create_pod(pod).await
    }

    /// Applies those that are missing.
    async fn apply_services(&self, session: &BrowserSession) -> Result<(), writer::Error> {
        let namespace = &self.key.namespace;
        if !self.has_service(names::BROWSERS_SERVICE) {
            self.apply_service(&build::browsers_service(namespace)).await?;
        }
        match session.spec.expose {
            Some(expose) if !self.has_service(&object_name(self.key)) => {
                self.apply_service(&build::own_service(self.key, session, expose)).await
            }
            _ => Ok(()),
        }
    }

    async fn apply_service(&self, service: &Service) -> Result<(), writer::Error> {
        let Context { expectations, writer, .. } = self.context;
        let writing = expectations.services.begin(&self.key.namespace, &service.name_any());
        if let Some(made) = writer.create_service(service).await? {
            writing.answered(&made.metadata, ());
        }
        Ok(())
    }

    fn has_service(&self, name: &str) -> bool {
        let Context { expectations, stores, .. } = self.context;
        expectations.has_service(stores, &self.key.namespace, name)
    }

    async fn bind(
        &self,
        session: &BrowserSession,
        pod: &Pod,
        ip: IpAddr,
        capabilities: CapabilitySet,
        credentials: &ProxyCredentials,
    ) -> Result<Action, writer::Error> {
        let Context { key: installation_key, limits, settings, .. } = self.context;
        let session_id = installation_key.session_id(&self.key.uid).to_string();
        let classes = self.context.stores.classes();
        let class = class_of(pod, &classes);
        let timeout_seconds = placement::timeout_seconds(&session.spec, class);
        let egress = match self.egress(session, class, credentials) {
            Ok(egress) => egress,
            Err(problem) => {
                let status = status::ended(session, problem, (self.context.clock)());
                self.end(session, status, Some(pod)).await?;
                return Ok(Action::AwaitChange);
            }
        };
        let has_lists = egress.guard.has_lists();
        let request = agent_calls::bind_request(
            session,
            &self.key.uid,
            session_id,
            &capabilities,
            timeout_seconds,
            egress,
        );
        let generation = session.metadata.generation;
        let token = self.context.token(&pod_ref(pod));
        drop(self.place.lock().take());
        let call = agent_calls::BindCall::new(ip, token);
        let binding = limits.bind(call.bind(&request));
        let mut binding = std::pin::pin!(binding);
        let outcome = loop {
            // Which limit counts changes while it waits: a container may start now that waited for its image.
            let left = match self.left(pod) {
                Ok(left) => left,
                Err(problem) => break Err(call.no_answer(problem).await),
            };
            let pause = self.tell_of_slow_start(pod).await.map_or(left, |quiet| quiet.min(left));
            tokio::select! {
                outcome = &mut binding => break outcome,
                () = sleep(pause) => {}
                () = self.changed.notified() => if !self.is_wanted() {
                    return Ok(Action::AwaitChange);
                },
            }
        };
        let _place = limits.step().await;
        let now = (self.context.clock)();
        let found = outcome.as_ref().ok().and_then(|reply| class::found(&reply.capabilities));
        if outcome.is_ok() {
            self.context.observations.started(pod, found.clone());
        }
        let outcome = outcome.and_then(|reply| match &found {
            Some(found) => placement::check_found(&capabilities, &found.browser_version)
                .map(|()| reply)
                .map_err(|refusal| End::new(refusal.reason, refusal.message())),
            None => Ok(reply),
        });
        match outcome.and_then(|reply| egress::check_reply(&session.spec, has_lists, reply)) {
            Ok(mut reply) => {
                let mismatch = class.zip(found).and_then(|(class, found)| {
                    class::mismatch(class, class::version_of(class, pod)?, &found)
                });
                reply.warnings.extend(mismatch.map(|problem| problem.message));
                let ignored = vendor_options::ignored(&capabilities);
                if !ignored.is_empty() {
                    reply.warnings.push(format!("left out of the options: {}", ignored.join(", ")));
                    reply.capabilities.insert(vendor_options::IGNORED.to_owned(), ignored.into());
                }
                // In one Event: of several with one reason the recorder keeps the first one's note alone.
                if !reply.warnings.is_empty() {
                    let note = reply.warnings.join("; ");
                    self.context.events.publish(session, true, Reason::BrowserReady, &note);
                }
                // As it is by now: a report may have been written since this reconcile began, or the end by another
                // controller.
                let session = self.context.stores.session(self.key);
                let Some(session) = session.filter(|s| self.is_wanted() && !s.is_ready()) else {
                    return Ok(Action::AwaitChange);
                };
                let sandbox = class.map(|class| class.spec.sandbox);
                let binding = status::Binding {
                    key: self.key,
                    pod,
                    reply,
                    sandbox,
                    timeout_seconds,
                    generation,
                };
                let status = status::ready(&session, binding, installation_key, settings, now);
                self.write_status(&session, status).await?;
                Ok(Action::AwaitChange)
            }
            Err(End { reason, message }) => {
                // As it is by now: a conflict would lose what the agent has said.
                let latest = self.context.stores.session(self.key);
                let session = latest.as_deref().unwrap_or(session);
                let status = status::ended(session, Problem { reason, message }, now);
                self.end(session, status, Some(pod)).await?;
                Ok(Action::AwaitChange)
            }
        }
    }

    /// What an agent is to be told of where its session's requests go.
    fn egress(
        &self,
        session: &BrowserSession,
        class: Option<&BrowserClass>,
        credentials: &ProxyCredentials,
    ) -> Result<Egress, Problem> {
        let Context { policies, settings, .. } = self.context;
        let networks = policies.networks().current();
        egress::of_session(
            &session.spec,
            &self.key.namespace,
            &networks,
            class,
            settings,
            credentials,
        )
    }

    /// Gives a running session's agent the routes of its spec. Those that cannot be had change nothing but the status.
    async fn route(
        &self,
        session: &BrowserSession,
        pod: &Pod,
        ip: IpAddr,
        routes: Routes<'_>,
    ) -> Result<Action, writer::Error> {
        let egress =
            routes.and_then(|(class, credentials)| self.egress(session, class, &credentials));
        let refused = match egress {
            Ok(egress) => {
                let token = self.context.token(&pod_ref(pod));
                match agent_calls::route(ip, token, &egress).await {
                    Ok(()) => None,
                    Err(agent_calls::RouteError::Refused(problem)) => Some(problem),
                    Err(agent_calls::RouteError::NoAnswer(why)) => {
                        tracing::warn!(uid = self.key.uid, why, "the agent has not the new routes");
                        return Ok(Action::Retry);
                    }
                }
            }
            Err(problem) => Some(problem),
        };
        if let Some(Problem { reason, message }) = &refused {
            self.context.events.publish(session, true, *reason, message);
        }
        let status = status::routed(session, refused.as_ref());
        let written = self.context.writer.write_status(self.key, session, status).await?;
        self.context.stores.wrote(written);
        Ok(Action::AwaitChange)
    }

    /// Writes what a pod waits for that is asked for long; returns when that may be due.
    async fn tell_of_slow_start(&self, pod: &Pod) -> Option<Duration> {
        let Context { stores, clock, .. } = self.context;
        let session = stores.session(self.key)?;
        let watched = stores.pod(&pod_ref(pod));
        match slow_start(&session, watched.as_deref().unwrap_or(pod), clock()) {
            Slow::Not(quiet) => Some(quiet),
            Slow::Report(status) => {
                if let Err(error) = self.write_status(&session, *status).await {
                    tracing::debug!(uid = self.key.uid, "{error}: it has changed");
                }
                None
            }
            Slow::Told => None,
        }
    }

    /// How long a pod that is asked may take yet.
    fn left(&self, pod: &Pod) -> Result<Duration, Problem> {
        let Context { stores, clock, .. } = self.context;
        let watched = stores.pod(&pod_ref(pod));
        let pod = watched.as_deref().unwrap_or(pod);
        StartLimits::of(pod, &stores.classes()).left(pod, clock())
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

    async fn end(
        &self,
        session: &BrowserSession,
        status: BrowserSessionStatus,
        pod: Option<&Pod>,
    ) -> Result<(), writer::Error> {
        let ended = BrowserSession { status: Some(status.clone()), ..session.clone() };
        if let (Some(pod), Some(problem)) = (pod, told(&ended)) {
            self.context.observations.session_ended(session, pod, problem);
        }
        self.write_status(session, status).await?;
        match pod {
            Some(pod) => self.delete_pod(Some(&ended), pod).await,
            None => self.delete_own_service(session).await,
        }
    }

    /// Tells a live agent why, then deletes the pod and the session's own Service.
    async fn delete_pod(
        &self,
        session: Option<&BrowserSession>,
        pod: &Pod,
    ) -> Result<(), writer::Error> {
        let Context { expectations, stores, writer, .. } = self.context;
        if !expectations.has_deleted(pod) {
            if let Some(ip) = live_address(pod) {
                let end = session
                    .filter(|session| session.is_terminal())
                    .and_then(told)
                    .map(|problem| End::new(problem.reason, problem.message));
                let deleted = || End::new(Reason::Deleted, "the BrowserSession was deleted");
                let end = end.unwrap_or_else(deleted);
                agent_calls::end(ip, self.context.token(&pod_ref(pod)), &end).await;
            }
            if pod.metadata.deletion_timestamp.is_none() {
                writer.delete_pod(pod).await?;
                expectations.pod_deleted(stores, pod);
            }
        }
        match session {
            Some(session) => self.delete_own_service(session).await,
            None => Ok(()),
        }
    }

    /// Deletes a session's own Service; without its session it goes by its owner reference.
    async fn delete_own_service(&self, session: &BrowserSession) -> Result<(), writer::Error> {
        let name = object_name(self.key);
        if session.spec.expose.is_none() || !self.has_service(&name) {
            return Ok(());
        }
        self.context.expectations.services.forget(&self.key.namespace, &name);
        self.context.writer.delete_service(self.key, &name).await
    }

    /// The one place where a status is written: with its log line, Event and metric.
    async fn write_status(
        &self,
        session: &BrowserSession,
        status: BrowserSessionStatus,
    ) -> Result<(), writer::Error> {
        let phase = status.phase;
        let telling = status.conditions.first().cloned();
        let written = self.context.writer.write_status(self.key, session, status).await?;
        self.context.stores.wrote(written);
        let Some((phase, condition)) = phase.zip(telling) else { return Ok(()) };
        let Some(reason) = Reason::parse(&condition.reason) else { return Ok(()) };
        tracing::info!(
            uid = self.key.uid,
            namespace = self.key.namespace,
            ?phase,
            %reason,
            message = condition.message,
            "session"
        );
        // A new position in the queue is no Event.
        let previous = session.telling_condition().map(|previous| previous.reason.as_str());
        if previous == Some(condition.reason.as_str()) && !phase.is_terminal() {
            return Ok(());
        }
        let is_warning = phase == Phase::Failed
            || !matches!(reason, Reason::Starting | Reason::BrowserReady) && !phase.is_terminal();
        self.context.events.publish(session, is_warning, reason, &condition.message);
        if phase.is_terminal() {
            self.context.metrics.session_ended(reason);
        } else if phase == Phase::Ready
            && let Some(created) = session.creation_timestamp()
        {
            let took = (self.context.clock)().duration_since(created.0);
            self.context.metrics.session_ready(took.as_secs_f64());
        }
        Ok(())
    }
}

/// What a session's status says.
fn told(session: &BrowserSession) -> Option<Problem> {
    let told = session.telling_condition()?;
    Some(Problem { reason: Reason::parse(&told.reason)?, message: told.message.clone() })
}
