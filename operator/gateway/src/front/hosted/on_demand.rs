//! A session for a CDP client that knows only the gateway's URL.

use std::sync::Arc;

use crds::BrowserSessionSpec;
use http::header;
use serde_json::json;

use super::{
    api::HostedApi,
    authorize::authorize_credential,
    create::{DEFAULT_TIMEOUT_SECONDS, base_spec, create_and_wait},
    links,
    problem::Problem,
};
use crate::{
    auth::Credential,
    metrics::Front,
    session::{AbandonGuard, LiveSession},
    state::Gateway,
};

const API: HostedApi =
    HostedApi { key_header: header::AUTHORIZATION, front: Front::Cdp, body_paths: &[] };

/// A session that was created on demand.
pub struct OnDemand {
    pub session: Arc<LiveSession>,
    pub signing_key: String,
    /// Ends the session unless it is disarmed once the client has its answer.
    pub guard: AbandonGuard,
}

/// Creates a session that ends with its last socket.
pub async fn create_on_demand(
    gateway: &Gateway,
    credential: Credential,
) -> Result<OnDemand, Problem> {
    let caller = authorize_credential(gateway, &API, credential, "create").await?;
    let spec = BrowserSessionSpec { keep_alive: Some(false), ..base_spec(DEFAULT_TIMEOUT_SECONDS) };
    let (record, guard) =
        create_and_wait(gateway, &caller, &API, spec.into(), json!({"api": "cdp"})).await?;
    let session = gateway.directory.find(&record.id).await;
    let session = session.map_err(|error| Problem::Failed(error.message))?;
    Ok(OnDemand { session, signing_key: links::signing_key(gateway, &record), guard })
}
