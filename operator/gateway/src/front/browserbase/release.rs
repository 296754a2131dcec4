//! `POST /v1/sessions/{id}`: its one update is to release the session.

use super::{
    api::API,
    project_id,
    view::{self, Session},
};
use crate::{
    front::hosted::{
        authorize::authorize,
        field_types::one_of,
        fields::{Body, Fields, Nulls},
        problem::Problem,
        records,
        request::Request,
    },
    state::Gateway,
};

/// The body.
pub struct ReleaseSession {
    project_id: Option<String>,
}

impl Body for ReleaseSession {
    fn read(fields: &mut Fields) -> Self {
        fields.required("status", one_of([("REQUEST_RELEASE", ())]), "");
        Self { project_id: project_id::read(fields) }
    }
}

pub async fn release_session(
    gateway: &Gateway,
    request: &Request,
    id: &str,
) -> Result<Session, Problem> {
    let caller = authorize(gateway, request, &API, "patch").await?;
    let mut fields = Fields::of_body(&request.body(gateway).await?, Nulls::AreValues)?;
    let body = ReleaseSession::read(&mut fields);
    project_id::check(
        body.project_id.as_deref(),
        &caller.namespace,
        gateway.services.unknown_projects,
        &mut fields,
    );
    fields.finish()?;
    let record = records::find(gateway, &caller, id).await?;
    let released = records::release(gateway, record).await?;
    Ok(view::session(&gateway.services, &released))
}
