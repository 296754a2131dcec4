//! Creates a session for a create call.

use std::time::Duration;

use crds::{
    BrowserSessionSpec, Capabilities, Reason, capabilities::CapabilitySet, names::Protocol,
};
use placement::BroughtCredentials;
use serde_json::{Value, json};

use super::{
    api::HostedApi,
    problem::Problem,
    proxies::Proxies,
    records::{self, Record},
};
use crate::{
    auth::Caller,
    metrics::Outcome,
    session::{AbandonGuard, CreateError, SessionRequest, WaitPolicy},
    state::Gateway,
};

/// Both services' clients give up after 60 s.
const CREATE_TIMEOUT: Duration = Duration::from_secs(55);
/// As the object's own default.
pub const DEFAULT_TIMEOUT_SECONDS: i32 = 1800;
const CONNECT_TIMEOUT_SECONDS: i32 = 300;
/// How long a record is kept.
const TTL_SECONDS: i32 = 3600;

/// The spec that every session of a hosted API begins with: Chrome, because it speaks CDP; no idle timeout, because its sockets
/// keep it alive; an end if nobody connects.
pub fn base_spec(timeout_seconds: i32) -> BrowserSessionSpec {
    let chrome = CapabilitySet::from_iter([("browserName".to_owned(), "chrome".into())]);
    let default: BrowserSessionSpec = serde_json::from_value(json!({})).unwrap_or_default();
    BrowserSessionSpec {
        capabilities: Capabilities { always_match: Some(chrome), first_match: None },
        timeout_seconds: Some(timeout_seconds),
        idle_timeout_seconds: 0,
        connect_timeout_seconds: CONNECT_TIMEOUT_SECONDS,
        ttl_seconds_after_finished: Some(TTL_SECONDS),
        ..default
    }
}

/// What a call asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    pub spec: BrowserSessionSpec,
    /// What the proxies of the spec know it by.
    pub credentials: BroughtCredentials,
}

impl From<BrowserSessionSpec> for Asked {
    fn from(spec: BrowserSessionSpec) -> Self {
        Self { spec, credentials: BroughtCredentials::new() }
    }
}

impl Asked {
    /// A session whose requests go through proxies, if the call asks for any.
    pub fn through(spec: BrowserSessionSpec, proxies: Option<Proxies>) -> Self {
        let Some(Proxies { proxy, credentials }) = proxies else { return spec.into() };
        Self { spec: BrowserSessionSpec { proxy: Some(proxy), ..spec }, credentials }
    }
}

/// Creates a session, and returns its record once the browser is up, with a guard to disarm when the answer is made.
/// `front_state` is kept in an annotation for the front's later answers.
pub async fn create_and_wait(
    gateway: &Gateway,
    caller: &Caller,
    api: &HostedApi,
    asked: Asked,
    front_state: Value,
) -> Result<(Record, AbandonGuard), Problem> {
    let created = try_create_and_wait(gateway, caller, api, asked, front_state).await;
    let outcome = if created.is_ok() { Outcome::Created } else { Outcome::Refused };
    gateway.metrics.requested(api.front, outcome);
    created
}

async fn try_create_and_wait(
    gateway: &Gateway,
    caller: &Caller,
    api: &HostedApi,
    Asked { spec, credentials }: Asked,
    front_state: Value,
) -> Result<(Record, AbandonGuard), Problem> {
    gateway.check_accepting().map_err(|error| Problem::Unavailable(error.message))?;
    let session_request = SessionRequest {
        namespace: None,
        spec,
        protocol: Protocol::Classic,
        front: Some(front_state),
        credentials,
    };
    let wait = WaitPolicy { limit: CREATE_TIMEOUT, queues: false };
    let created = gateway.sessions.create(caller, session_request, wait).await;
    let (session, guard) = created.map_err(|error| problem(&error, api))?;
    let record = records::get(gateway, &caller.namespace, &session.name).await?;
    Ok((record, guard))
}

fn problem(error: &CreateError, api: &HostedApi) -> Problem {
    let message = error.to_string();
    match error {
        CreateError::Refused(refusal) if refusal.reason == Reason::ContextNotFound => {
            Problem::NotFound(message)
        }
        CreateError::Refused(refusal) => {
            match api.body_paths.iter().find(|(field, _)| *field == refusal.field) {
                Some((_, path)) => {
                    let path: Vec<&str> = ["body"].iter().chain(*path).copied().collect();
                    Problem::invalid(&path, "not_available", refusal.words.clone())
                }
                None => Problem::Refused(message),
            }
        }
        CreateError::Invalid(_) => Problem::Refused(message),
        CreateError::Quota(_) => Problem::OutOfCapacity(message),
        CreateError::NotReady(end) if end.is_out_of_capacity() => Problem::OutOfCapacity(message),
        CreateError::TimedOut(Some(end), _) if end.is_out_of_capacity() => {
            Problem::OutOfCapacity(message)
        }
        CreateError::ShuttingDown | CreateError::NoController(_) => Problem::Unavailable(message),
        CreateError::NotReady(_) | CreateError::TimedOut(..) | CreateError::Cluster(_) => {
            Problem::Failed(message)
        }
    }
}
