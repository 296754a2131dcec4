//! Projects and their usage. A key has one project: its namespace.

use crds::BrowserClass;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::api::API;
use crate::{
    auth::Caller,
    front::hosted::{
        authorize::authorize,
        create::DEFAULT_TIMEOUT_SECONDS,
        problem::Problem,
        records::{self, Record},
        request::Request,
    },
    state::Gateway,
};

pub async fn list(gateway: &Gateway, request: &Request) -> Result<Value, Problem> {
    let caller = authorize(gateway, request, &API, "list").await?;
    Ok(json!([project_of(gateway, &caller).await?]))
}

pub async fn get(gateway: &Gateway, request: &Request, id: &str) -> Result<Value, Problem> {
    let caller = authorize_for(gateway, request, id).await?;
    project_of(gateway, &caller).await
}

pub async fn usage(gateway: &Gateway, request: &Request, id: &str) -> Result<Value, Problem> {
    let caller = authorize_for(gateway, request, id).await?;
    let records = records::list(gateway, &caller).await?;
    Ok(usage_of(&records, (gateway.clock)()))
}

async fn authorize_for(
    gateway: &Gateway,
    request: &Request,
    project: &str,
) -> Result<Caller, Problem> {
    let caller = authorize(gateway, request, &API, "list").await?;
    if gateway.services.unknown_projects.allow(project, &caller.namespace) {
        Ok(caller)
    } else {
        Err(Problem::NotFound("Project not found".to_owned()))
    }
}

async fn project_of(gateway: &Gateway, caller: &Caller) -> Result<Value, Problem> {
    let records = records::list(gateway, caller).await?;
    Ok(project(&caller.namespace, &records, &gateway.classes.all()))
}

/// Its concurrency is the capacity of all classes.
fn project(namespace: &str, records: &[Record], classes: &[BrowserClass]) -> Value {
    let oldest = records.iter().map(Record::created).min().unwrap_or(Timestamp::UNIX_EPOCH);
    let newest = records.iter().map(Record::updated).max().unwrap_or(Timestamp::UNIX_EPOCH);
    // A class without a capacity is as large as the cluster.
    let concurrency = classes
        .iter()
        .map(|class| class.spec.capacity)
        .try_fold(0_i32, |sum, capacity| Some(sum.saturating_add(capacity?)))
        .unwrap_or(i32::MAX);
    json!({
        "id": namespace, "name": namespace, "ownerId": namespace,
        "concurrency": concurrency, "defaultTimeout": DEFAULT_TIMEOUT_SECONDS,
        "createdAt": oldest.to_string(), "updatedAt": newest.to_string(),
    })
}

/// Of the sessions whose records still exist.
fn usage_of(records: &[Record], now: Timestamp) -> Value {
    let seconds: i64 = records
        .iter()
        .filter(|record| record.object.status.as_ref().is_some_and(|s| s.started_at.is_some()))
        .map(|record| {
            record.ended().unwrap_or(now).duration_since(record.started()).as_secs().max(0)
        })
        .sum();
    json!({"browserMinutes": seconds / 60, "proxyBytes": 0})
}
