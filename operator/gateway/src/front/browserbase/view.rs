//! How Browserbase renders a session.

use crds::Phase;
use kube::ResourceExt;
use serde_json::{Value, json};

use crate::{
    front::hosted::{
        links::{http_base, signing_key, websocket_base},
        records::Record,
        request::Request,
    },
    state::Gateway,
};

pub const STATUSES: [&str; 5] = ["PENDING", RUNNING, "ERROR", "TIMED_OUT", "COMPLETED"];
/// It can be driven.
pub const RUNNING: &str = "RUNNING";
/// The region of a session whose class has none: the service's default, because clients check that it is one of the service's
/// (Stagehand's `connect` does).
const NO_REGION: &str = "us-west-2";

pub fn status(record: &Record) -> &'static str {
    match record.phase() {
        Phase::Pending | Phase::Starting => "PENDING",
        Phase::Ready | Phase::Ending => RUNNING,
        Phase::Completed => "COMPLETED",
        Phase::TimedOut => "TIMED_OUT",
        Phase::Failed => "ERROR",
    }
}

/// A session as the list shows it: without URLs.
pub fn session(record: &Record) -> Value {
    let object = &record.object;
    let region = object.status.as_ref().and_then(|status| status.region.as_deref());
    let mut session = json!({
        "id": record.id,
        "createdAt": record.created().to_string(),
        "updatedAt": record.updated().to_string(),
        "startedAt": record.started().to_string(),
        "expiresAt": record.expires().to_string(),
        "projectId": object.namespace(),
        "status": status(record),
        "proxyBytes": 0,
        "keepAlive": object.spec.keep_alive.unwrap_or(false),
        "region": region.or(object.spec.region.as_deref()).unwrap_or(NO_REGION),
    });
    if let Some(ended) = record.ended() {
        session["endedAt"] = ended.to_string().into();
    }
    if let Some(metadata) = &object.spec.user_metadata {
        session["userMetadata"] = metadata.clone().into();
    }
    session
}

/// A session, with the URLs of one that can be driven.
pub fn session_with_urls(gateway: &Gateway, request: &Request, record: &Record) -> Value {
    let mut session = session(record);
    if status(record) == RUNNING {
        let key = signing_key(gateway, record);
        let base = websocket_base(gateway, request);
        session["connectUrl"] = format!("{base}/cdp/{}?signingKey={key}", record.id).into();
        session["seleniumRemoteUrl"] = format!("{}/webdriver", http_base(gateway, request)).into();
        session["signingKey"] = key.into();
    }
    session
}
