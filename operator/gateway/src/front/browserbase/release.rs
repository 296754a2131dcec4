//! `POST /v1/sessions/{id}`: its one update is to release the session.

use serde_json::Value;

use super::{api::API, create, view};
use crate::{
    front::hosted::{
        authorize::authorize, fields::Fields, problem::Problem, records, request::Request,
    },
    state::Gateway,
};

pub async fn release_session(
    gateway: &Gateway,
    request: &Request,
    id: &str,
) -> Result<Value, Problem> {
    let caller = authorize(gateway, request, &API, "patch").await?;
    let mut fields = Fields::of_body(&request.body().await?, false)?;
    if !fields.has("status") {
        fields.missing("status");
    }
    fields.word("status", &["REQUEST_RELEASE"]);
    create::project(&mut fields, &caller.namespace);
    fields.done()?;
    let record = records::find(gateway, &caller, id).await?;
    let released = records::release(gateway, record).await?;
    Ok(view::session(&released))
}
