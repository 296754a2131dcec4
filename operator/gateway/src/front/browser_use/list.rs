//! `GET /sessions` and `GET /browsers`.

use serde::Serialize;
use serde_json::{Value, json, value::RawValue};
use warp::reply::Response;

use super::{api::API, resource::Resource, view};
use crate::{
    front::hosted::{
        authorize::authorize, newest::Newest, problem::Problem, records, request::Request,
        serve::held_json,
    },
    state::Gateway,
};

const DEFAULT_PAGE_SIZE: usize = 10;
const MAX_PAGE_SIZE: usize = 100;

/// The query's parameters for `/openapi.json`.
pub fn parameters(resource: Resource) -> Value {
    let mut parameters = vec![
        json!({"name": "pageSize", "in": "query", "schema": {
            "type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE, "default": DEFAULT_PAGE_SIZE,
        }}),
        json!({"name": "pageNumber", "in": "query", "schema": {
            "type": "integer", "minimum": 1, "default": 1,
        }}),
        json!({"name": "filterBy", "in": "query", "schema": {
            "type": "string", "enum": view::STATUSES,
        }}),
    ];
    if resource == Resource::Browsers {
        parameters.extend([
            json!({
                "name": "metadata", "in": "query",
                "schema": {"type": "array", "items": {"type": "string"}},
                "description": "key, or key=value; of several each must be met.",
            }),
            json!({
                "name": "agentSessionId", "in": "query",
                "schema": {"type": "string", "format": "uuid"},
                "description": "Browsers here belong to no agent's session: none is shown.",
            }),
        ]);
    }
    parameters.into()
}

/// One page of a list.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    items: Vec<Box<RawValue>>,
    total_items: usize,
    page_number: usize,
    page_size: usize,
}

/// The caller's sessions, the newest first: one page of those that match the filters.
pub async fn list(
    gateway: &Gateway,
    request: &Request,
    resource: Resource,
) -> Result<Response, Problem> {
    let caller = authorize(gateway, request, &API, "list").await?;
    let (size, page) = (
        number(request, "pageSize", DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)?,
        number(request, "pageNumber", 1, usize::MAX)?,
    );
    let filter = match request.parameter("filterBy") {
        None => None,
        Some(word) if view::STATUSES.contains(&word.as_str()) => Some(word),
        Some(_) => {
            let message = format!("Input should be '{}' or '{}'", view::ACTIVE, view::STOPPED);
            return Err(Problem::invalid(&["query", "filterBy"], "enum", message));
        }
    };
    let terms =
        if resource == Resource::Browsers { request.parameters("metadata") } else { Vec::new() };
    // Browsers here belong to no agent's session: asking for one's gives none.
    let of_agent = resource == Resource::Browsers && request.parameter("agentSessionId").is_some();
    let turn = records::turn(gateway, &caller).await?;
    let mut newest = Newest::default();
    records::for_each(gateway, &caller, |record| {
        let has_status = filter.as_ref().is_none_or(|filter| view::status(&record) == filter);
        if !of_agent && has_status && terms.iter().all(|term| view::has_metadata(&record, term)) {
            newest.add(&record, &view::item(gateway, request, resource, &record));
        }
    })
    .await?;
    let (total_items, from) = (newest.total, (page - 1).saturating_mul(size));
    let items = newest.into_json().into_iter().skip(from).take(size).collect();
    held_json(gateway, &Page { items, total_items, page_number: page, page_size: size }, turn)
}

/// A whole number from 1 to `most`.
fn number(request: &Request, name: &str, default: usize, most: usize) -> Result<usize, Problem> {
    let Some(text) = request.parameter(name) else { return Ok(default) };
    match text.parse() {
        Ok(number) if (1..=most).contains(&number) => Ok(number),
        Ok(0) => Err(Problem::invalid(
            &["query", name],
            "greater_than_equal",
            "Input should be greater than or equal to 1",
        )),
        Ok(_) => Err(Problem::invalid(
            &["query", name],
            "less_than_equal",
            format!("Input should be less than or equal to {most}"),
        )),
        Err(_) => Err(Problem::invalid(
            &["query", name],
            "int_parsing",
            "Input should be a valid integer",
        )),
    }
}
