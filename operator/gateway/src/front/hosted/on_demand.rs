//! A session for a CDP client that knows only the gateway's URL.

use std::sync::Arc;

use crds::BrowserSessionSpec;
use http::{HeaderMap, StatusCode, header};
use serde_json::json;

use super::{
    api::HostedApi,
    authorize::authorize_credential,
    create::{DEFAULT_TIMEOUT_SECONDS, base_spec, create},
    links,
    problem::Problem,
};
use crate::{
    auth,
    metrics::Front,
    session::{AbandonGuard, LiveSession},
    state::Gateway,
};

const API: HostedApi =
    HostedApi { key_header: header::AUTHORIZATION, front: Front::Cdp, body_paths: &[] };

/// Creates a session that ends with its last socket, and is abandoned unless it is disarmed once the answer is sent. Returns it
/// with its signing key.
///
/// # Errors
/// A status, and a message for the client.
pub async fn create_on_demand(
    gateway: &Gateway,
    headers: &HeaderMap,
) -> Result<(Arc<LiveSession>, String, AbandonGuard), (StatusCode, String)> {
    let created = async {
        let credential = auth::credential(headers);
        let caller = authorize_credential(gateway, &API, credential, "create").await?;
        let spec =
            BrowserSessionSpec { keep_alive: Some(false), ..base_spec(DEFAULT_TIMEOUT_SECONDS) };
        let (record, abandon) = create(gateway, &caller, &API, spec, json!({"api": "cdp"})).await?;
        let signing_key = links::signing_key(gateway, &record);
        let entry = gateway.directory.find(&record.id).await;
        Ok((entry.map_err(|error| Problem::Failed(error.message))?, signing_key, abandon))
    };
    created
        .await
        .map_err(|problem: Problem| (problem.status(StatusCode::BAD_REQUEST), problem.message()))
}
