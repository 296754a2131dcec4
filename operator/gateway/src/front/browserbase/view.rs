//! How Browserbase renders a session.

use crds::Phase;
use jiff::Timestamp;
use kube::ResourceExt;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    front::hosted::{
        links::{http_base, signing_key, websocket_base},
        records::Record,
        request::Request,
    },
    services::ServiceSettings,
    state::Gateway,
};

pub const STATUSES: [&str; 5] = ["PENDING", RUNNING, "ERROR", "TIMED_OUT", "COMPLETED"];
/// It can be driven.
pub const RUNNING: &str = "RUNNING";
/// The region of a session whose class has none: the service's default, because clients check that it is one of the service's
/// (Stagehand's `connect` does).
pub const NO_REGION: &str = "us-west-2";

/// The member of the front's state that has the region as the client called it.
pub const REGION_STATE: &str = "region";

pub fn status(record: &Record) -> &'static str {
    match record.phase() {
        Phase::Pending | Phase::Starting => "PENDING",
        Phase::Ready | Phase::Ending => RUNNING,
        Phase::Completed => "COMPLETED",
        Phase::TimedOut => "TIMED_OUT",
        Phase::Failed => "ERROR",
    }
}

/// A session of a browser.
#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// WebDriver's id of it too.
    #[schemars(extend("format" = "uuid"))]
    id: String,
    #[schemars(with = "String", extend("format" = "date-time"))]
    created_at: Timestamp,
    #[schemars(with = "String", extend("format" = "date-time"))]
    updated_at: Timestamp,
    #[schemars(with = "String", extend("format" = "date-time"))]
    started_at: Timestamp,
    #[schemars(with = "String", extend("format" = "date-time"))]
    expires_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", extend("format" = "date-time"))]
    ended_at: Option<Timestamp>,
    /// The namespace.
    project_id: String,
    #[schemars(extend("enum" = STATUSES))]
    status: &'static str,
    /// 0 in this version.
    proxy_bytes: i64,
    keep_alive: bool,
    region: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Map<String, Value>")]
    user_metadata: Option<Map<String, Value>>,
    #[serde(flatten)]
    urls: Option<Urls>,
}

/// How to drive a live session. Each of these is a credential for it.
#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
struct Urls {
    /// CDP, while it lives.
    #[schemars(extend("format" = "uri"))]
    connect_url: String,
    /// WebDriver, while it lives.
    #[schemars(extend("format" = "uri"))]
    selenium_remote_url: String,
    /// For seleniumRemoteUrl.
    signing_key: String,
}

/// A session as the list shows it: without URLs.
pub fn session(services: &ServiceSettings, record: &Record) -> Session {
    let object = &record.object;
    let state = record.front_state();
    let region = object.status.as_ref().and_then(|status| status.region.as_deref());
    let region = region
        .or(object.spec.region.as_deref())
        .map_or(NO_REGION, |region| services.shown_region(region, state[REGION_STATE].as_str()));
    Session {
        id: record.id.clone(),
        created_at: record.created(),
        updated_at: record.updated(),
        started_at: record.started(),
        expires_at: record.expires(),
        ended_at: record.ended(),
        project_id: object.namespace().unwrap_or_default(),
        status: status(record),
        proxy_bytes: 0,
        keep_alive: object.spec.keep_alive.unwrap_or(false),
        region: region.to_owned(),
        user_metadata: object.spec.user_metadata.clone(),
        urls: None,
    }
}

/// A session, with the URLs of one that can be driven.
pub fn session_with_urls(gateway: &Gateway, request: &Request, record: &Record) -> Session {
    let urls = (status(record) == RUNNING).then(|| {
        let signing_key = signing_key(gateway, record);
        let base = websocket_base(gateway, request);
        Urls {
            connect_url: format!("{base}/cdp/{}?signingKey={signing_key}", record.id),
            selenium_remote_url: format!("{}/webdriver", http_base(gateway, request)),
            signing_key,
        }
    });
    Session { urls, ..session(&gateway.services, record) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_session_leaves_out_what_there_is_not() {
        let object = json!({
            "apiVersion": "browser-operator.io/v1alpha1", "kind": "BrowserSession",
            "metadata": {"namespace": "team-a", "creationTimestamp": "2026-11-29T03:00:00Z"},
            "spec": {"capabilities": {}, "timeoutSeconds": 60},
        });
        let object = serde_json::from_value(object).unwrap();
        let mut record = Record { id: "an-id".to_owned(), object };
        let mut expected = json!({
            "id": "an-id", "projectId": "team-a", "status": "PENDING", "proxyBytes": 0,
            "keepAlive": false, "region": "us-west-2",
            "createdAt": "2026-11-29T03:00:00Z", "updatedAt": "2026-11-29T03:00:00Z",
            "startedAt": "2026-11-29T03:00:00Z", "expiresAt": "2026-11-29T03:01:00Z",
        });
        assert_eq!(
            serde_json::to_value(session(&ServiceSettings::default(), &record)).unwrap(),
            expected
        );
        record.object.spec.user_metadata = json!({"a": 1}).as_object().cloned();
        expected["userMetadata"] = json!({"a": 1});
        assert_eq!(
            serde_json::to_value(session(&ServiceSettings::default(), &record)).unwrap(),
            expected
        );
    }
}
