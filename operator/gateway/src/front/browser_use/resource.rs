//! The two resources of this API. Both are BrowserSessions, and each of those is found under both.

use super::api::API;
use crate::{
    front::hosted::{
        authorize::authorize,
        problem::Problem,
        records::{self, Record},
        request::Request,
    },
    state::Gateway,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    Sessions,
    Browsers,
}

/// Authorizes the caller for a verb of Kubernetes, and finds its session of that id.
pub async fn find(
    gateway: &Gateway,
    request: &Request,
    id: &str,
    verb: &str,
) -> Result<Record, Problem> {
    let caller = authorize(gateway, request, &API, verb).await?;
    if uuid::Uuid::try_parse(id).is_err() {
        return Err(Problem::invalid(
            &["path", "session_id"],
            "uuid_parsing",
            "Input should be a valid UUID",
        ));
    }
    records::find(gateway, &caller, &id.to_ascii_lowercase()).await
}
