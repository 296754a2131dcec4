//! `PATCH /sessions/{id}` and `PATCH /browsers/{id}`: their one update is to stop.

use super::{
    resource::{self, Resource},
    view::{self, Item},
};
use crate::{
    front::hosted::{
        field_types::one_of,
        fields::{Body, Fields, Nulls},
        problem::Problem,
        records,
        request::Request,
    },
    state::Gateway,
};

/// The body.
pub struct Stop;

impl Body for Stop {
    fn read(fields: &mut Fields) -> Self {
        fields.required("action", one_of([("stop", ())]), "");
        Self
    }
}

pub async fn stop(
    gateway: &Gateway,
    request: &Request,
    resource: Resource,
    id: &str,
) -> Result<Item, Problem> {
    let record = resource::find(gateway, request, id, "patch").await?;
    // Unlike in the create calls, null is not as if the field were absent: it is required.
    let mut fields = Fields::of_body(&request.body(gateway).await?, Nulls::AreValues)?;
    Stop::read(&mut fields);
    fields.finish()?;
    let record = records::release(gateway, record).await?;
    Ok(view::detail(gateway, request, resource, &record))
}
