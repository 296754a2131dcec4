//! `/sessions/{id}/public-share`: a URL that shows a session to whoever has it.

use kube::ResourceExt;
use serde_json::{Value, json};

use super::resource;
use crate::{
    front::{
        hosted::{
            links::http_base,
            problem::Problem,
            records::{self, Record},
            request::Request,
        },
        share::store,
    },
    session::Share,
    state::Gateway,
};

/// Creates the share, or returns the one that exists.
pub async fn create(gateway: &Gateway, request: &Request, id: &str) -> Result<Value, Problem> {
    let record = resource::find(gateway, request, id, "patch").await?;
    if let Some(obstacle) = obstacle(&record) {
        return Err(Problem::Refused(obstacle.to_owned()));
    }
    let created = store::create(&gateway.sessions.client, &record.object).await;
    let created = created.map_err(|error| records::write_failed(&error))?;
    Ok(view(gateway, request, &record, &created))
}

pub async fn get(gateway: &Gateway, request: &Request, id: &str) -> Result<Value, Problem> {
    let record = resource::find(gateway, request, id, "get").await?;
    let none = || Problem::NotFound("Public share not found".to_owned());
    let share = Share::of(&record.object).ok_or_else(none)?;
    Ok(view(gateway, request, &record, &share))
}

pub async fn delete(gateway: &Gateway, request: &Request, id: &str) -> Result<(), Problem> {
    let record = resource::find(gateway, request, id, "patch").await?;
    let deleted = store::delete(&gateway.sessions.client, &record.object).await;
    deleted.map_err(|error| records::write_failed(&error))
}

/// The URL of a session's share, if it is shared.
pub fn url(gateway: &Gateway, request: &Request, record: &Record) -> Option<String> {
    let share = Share::of(&record.object)?;
    Some(share_url(gateway, request, &token(gateway, record, &share)))
}

/// Why a session cannot be shared.
fn obstacle(record: &Record) -> Option<&'static str> {
    if record.phase().is_terminal() {
        return Some("the session has ended: there is nothing to show");
    }
    let status = record.object.status.as_ref();
    let browser = status.and_then(|status| status.capabilities.as_ref()?.get("browserName"));
    let is_firefox = browser.is_some_and(|name| name == "firefox");
    is_firefox.then_some("the session's browser is Firefox, of which no pictures are taken")
}

fn view(gateway: &Gateway, request: &Request, record: &Record, share: &Share) -> Value {
    let token = token(gateway, record, share);
    json!({
        "shareUrl": share_url(gateway, request, &token),
        "shareToken": token,
        "viewCount": share.views,
        "lastViewedAt": share.last_viewed_at.map(|at| at.to_string()),
    })
}

fn token(gateway: &Gateway, record: &Record, share: &Share) -> String {
    gateway.directory.share_token(&record.object.uid().unwrap_or_default(), share)
}

fn share_url(gateway: &Gateway, request: &Request, token: &str) -> String {
    format!("{}/share/{token}", http_base(gateway, request))
}
