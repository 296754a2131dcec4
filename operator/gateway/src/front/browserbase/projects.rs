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
    let (now, mut usage) = ((gateway.clock)(), Usage::default());
    let _turn = records::turn(gateway, &caller).await?;
    records::for_each(gateway, &caller, |record| usage.add(&record, now)).await?;
    Ok(usage.json())
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
    let mut span = Span::default();
    let _turn = records::turn(gateway, caller).await?;
    records::for_each(gateway, caller, |record| span.add(&record)).await?;
    Ok(project(&caller.namespace, &span, &gateway.classes.all()))
}

/// When the first session of a project was created, and when the last one changed.
#[derive(Default)]
struct Span {
    oldest: Option<Timestamp>,
    newest: Option<Timestamp>,
}

impl Span {
    fn add(&mut self, record: &Record) {
        self.oldest = self.oldest.into_iter().chain([record.created()]).min();
        self.newest = self.newest.max(Some(record.updated()));
    }
}

/// Its concurrency is the capacity of all classes.
fn project(namespace: &str, span: &Span, classes: &[BrowserClass]) -> Value {
    // A class without a capacity is as large as the cluster.
    let concurrency = classes
        .iter()
        .map(|class| class.spec.capacity)
        .try_fold(0_i32, |sum, capacity| Some(sum.saturating_add(capacity?)))
        .unwrap_or(i32::MAX);
    json!({
        "id": namespace, "name": namespace, "ownerId": namespace,
        "concurrency": concurrency, "defaultTimeout": DEFAULT_TIMEOUT_SECONDS,
        "createdAt": span.oldest.unwrap_or(Timestamp::UNIX_EPOCH).to_string(),
        "updatedAt": span.newest.unwrap_or(Timestamp::UNIX_EPOCH).to_string(),
    })
}

/// Of the sessions whose records still exist.
#[derive(Default)]
struct Usage {
    seconds: i64,
}

impl Usage {
    fn add(&mut self, record: &Record, now: Timestamp) {
        if record.object.status.as_ref().is_some_and(|status| status.started_at.is_some()) {
            let end = record.ended().unwrap_or(now);
            self.seconds += end.duration_since(record.started()).as_secs().max(0);
        }
    }

    fn json(&self) -> Value {
        json!({"browserMinutes": self.seconds / 60, "proxyBytes": 0})
    }
}
