//! Who sends a request, and whether they may.

use super::{api::HostedApi, problem::Problem, request::Request};
use crate::{
    auth::{self, Caller, Credential},
    state::Gateway,
};

/// Authorizes a request by the service's key header or, without one, by `Authorization`. `verb` is one of Kubernetes'.
pub async fn authorize(
    gateway: &Gateway,
    request: &Request,
    api: &HostedApi,
    verb: &str,
) -> Result<Caller, Problem> {
    let key = request.headers.get(&api.key_header);
    let key = key.map(|key| key.to_str().unwrap_or_default().to_owned());
    let mut credential = gateway.credential(&request.headers, request.peer);
    credential.secret = key.or(credential.secret);
    authorize_credential(gateway, api, credential, verb).await
}

pub async fn authorize_credential(
    gateway: &Gateway,
    api: &HostedApi,
    credential: Credential,
    verb: &str,
) -> Result<Caller, Problem> {
    gateway.authorizer.authorize(credential, None, verb).await.map_err(|error| match error {
        auth::Error::Unauthenticated(message) => {
            Problem::Unauthenticated(format!("{message} (header {})", api.key_header))
        }
        auth::Error::Forbidden(message) => Problem::Forbidden(message),
        auth::Error::Throttled(wait) => Problem::Throttled(error.to_string(), wait),
        auth::Error::Unknown(error) => Problem::Failed(error.to_string()),
    })
}
