//! `GET /v1/sessions`.

use serde_json::{Value, json};
use warp::reply::Response;

use super::{api::API, metadata_query, view};
use crate::{
    front::hosted::{
        authorize::authorize, newest::Newest, problem::Problem, records, request::Request,
        serve::held_json,
    },
    state::Gateway,
};

/// The query's parameters for `/openapi.json`.
pub fn parameters() -> Value {
    json!([
        {"name": "status", "in": "query", "schema": {"type": "string", "enum": view::STATUSES}},
        {
            "name": "q", "in": "query",
            "schema": {"type": "string", "description": "user_metadata['key']:'value'"},
        },
    ])
}

/// The caller's sessions, the newest first, filtered by `status` and `q`.
pub async fn list_sessions(gateway: &Gateway, request: &Request) -> Result<Response, Problem> {
    let caller = authorize(gateway, request, &API, "list").await?;
    let status = match request.parameter("status") {
        None => None,
        Some(status) if view::STATUSES.contains(&status.as_str()) => Some(status),
        Some(_) => {
            let message = format!("must be one of {}", view::STATUSES.join(", "));
            return Err(Problem::invalid(&["query", "status"], "enum", message));
        }
    };
    let query = request.parameter("q").map(|q| metadata_query::parse(&q)).transpose()?;
    let turn = records::turn(gateway, &caller).await?;
    let mut newest = Newest::default();
    records::for_each(gateway, &caller, |record| {
        let has_status = status.as_ref().is_none_or(|status| view::status(&record) == status);
        if has_status && query.as_ref().is_none_or(|query| query.matches(&record)) {
            newest.add(&record, &view::session(&gateway.services, &record));
        }
    })
    .await?;
    held_json(gateway, &newest.into_json(), turn)
}
