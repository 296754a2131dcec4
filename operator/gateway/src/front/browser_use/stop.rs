//! `PATCH /sessions/{id}` and `PATCH /browsers/{id}`: their one update is to stop.

use serde_json::Value;

use super::{
    resource::{self, Resource},
    view,
};
use crate::{
    front::hosted::{fields::Fields, problem::Problem, records, request::Request},
    state::Gateway,
};

pub async fn stop(
    gateway: &Gateway,
    request: &Request,
    resource: Resource,
    id: &str,
) -> Result<Value, Problem> {
    let record = resource::find(gateway, request, id, "patch").await?;
    // Unlike in the create calls, null is not as if absent: the field is required.
    let mut fields = Fields::of_body(&request.body().await?, false)?;
    if !fields.has("action") {
        fields.missing("action");
    }
    fields.word("action", &["stop"]);
    fields.done()?;
    let record = records::release(gateway, record).await?;
    Ok(view::detail(gateway, request, resource, &record))
}
