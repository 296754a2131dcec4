//! Reconciles one session: dereference, decide, confirm, apply.

use std::{error::Error as _, sync::Arc};

use crds::BrowserSession;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{
    apply::{Reconciler, WATCH_LAG},
    context::Context,
    credentials,
    decide::{Absence, Facts, Step, decide, rests_on},
    dereference::{Dereferenced, References, dereference},
};
use crate::{
    cache::{Tombstone, live},
    session_key::SessionKey,
    work_queue::Action,
    writer,
};

/// Why a reconcile failed.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Write(#[from] writer::Error),
    #[error("confirm with the API server")]
    Confirm(#[from] Arc<kube::Error>),
}

impl From<kube::Error> for Error {
    fn from(error: kube::Error) -> Self {
        Self::Confirm(Arc::new(error))
    }
}

/// Takes one step, and says when to reconcile again.
pub async fn reconcile(context: Arc<Context>, key: SessionKey, changed: Arc<Notify>) -> Action {
    match try_reconcile(&context, &key, &changed).await {
        Ok(Action::AwaitChange) if context.gate.is_waiting(&key.uid) => Action::AwaitAdmission,
        Ok(action) => action,
        // Somebody wrote before, or the watch is behind this process's own write: the next reconcile knows more.
        Err(Error::Write(error)) if error.code() == Some(409) => {
            tracing::debug!(uid = key.uid, namespace = key.namespace, "{error}: it has changed");
            Action::Retry
        }
        // It went, finalizers and all, while this was on its way; its watch tells what is left to do.
        Err(Error::Write(error)) if error.code() == Some(404) && error.is_of("BrowserSession") => {
            tracing::debug!(uid = key.uid, namespace = key.namespace, "{error}: it is gone");
            Action::Retry
        }
        Err(error) => {
            let cause = error.source().map(ToString::to_string).unwrap_or_default();
            tracing::warn!(uid = key.uid, namespace = key.namespace, cause, "{error}");
            Action::Retry
        }
    }
}

async fn try_reconcile(
    context: &Context,
    key: &SessionKey,
    changed: &Notify,
) -> Result<Action, Error> {
    let place = Mutex::new(context.limits.step().await);
    let reconciler = Reconciler { context, key, changed, place };
    let mut objects = dereference(&context.stores, &context.expectations, &context.tombstones, key);
    // Another controller's, which has its pod, too.
    if let Some(session) = &objects.session
        && objects.pod.is_none()
        && !context.stores.is_ours(session)
    {
        return Ok(Action::AwaitChange);
    }
    let (mut step, mut absence) = next_step(context, key, &objects);
    if let Some(session) = needs_credentials(&step) {
        let operator = &context.settings.operator_namespace;
        let found = credentials::read(&context.client, operator, key, &session.spec).await?;
        objects.references.credentials = Some(found);
        (step, absence) = next_step(context, key, &objects);
    }
    let is_there = match absence {
        None => false,
        Some(Absence::Session) => live::has_session(&context.client, key).await?,
        Some(Absence::Pod(pod)) => {
            if !live::has_pod(&context.client, &pod, key).await? {
                objects.tombstone = tombstone(context, key, &objects);
                let (step, _) = next_step(context, key, &objects);
                return Ok(reconciler.apply(step).await?);
            }
            true
        }
        Some(Absence::Class) => {
            objects.references = References::confirmed(&context.confirmed, &key.namespace).await?;
            objects.tombstone = tombstone(context, key, &objects);
            let (step, _) = next_step(context, key, &objects);
            return Ok(reconciler.apply(step).await?);
        }
    };
    if is_there { Ok(Action::RequeueAfter(WATCH_LAG)) } else { Ok(reconciler.apply(step).await?) }
}

/// The session, where its rules name Secrets and a pod is to be made or told of them.
fn needs_credentials<'a>(step: &Step<'a>) -> Option<&'a BrowserSession> {
    match step {
        Step::CreatePod { session, .. }
        | Step::Bind { session, .. }
        | Step::Route { session, .. } => {
            credentials::are_asked_for(&session.spec).then_some(*session)
        }
        _ => None,
    }
}

/// What its pod said last, if that is gone: it may have been heard since.
fn tombstone(context: &Context, key: &SessionKey, objects: &Dereferenced) -> Option<Tombstone> {
    if objects.pod.is_none() { context.tombstones.get(&key.uid) } else { None }
}

/// Decides. A session that is admitted has its place from then on: two that are decided at the same time must not take the
/// same one.
fn next_step<'a>(
    context: &Context,
    key: &SessionKey,
    objects: &'a Dereferenced,
) -> (Step<'a>, Option<Absence>) {
    let Context { gate, stores, work, .. } = context;
    let now = (context.clock)();
    if let Some(pod) = &objects.pod {
        gate.has_pod(stores, work, key, pod);
    }
    let facts = Facts::new(objects, now);
    let step = decide(&facts, |class, capacity| {
        gate.admit(stores, work, facts.session?, class, capacity, now)
    });
    let absence = rests_on(&facts, &step);
    (step, absence)
}
