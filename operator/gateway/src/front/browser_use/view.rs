//! How Browser Use renders a session and a browser. Times carry their zone.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{public_share, resource::Resource};
use crate::{
    front::hosted::{
        links::{http_base, signing_key},
        records::Record,
        request::Request,
    },
    state::Gateway,
};

/// It has not ended.
pub const ACTIVE: &str = "active";
pub const STOPPED: &str = "stopped";
pub const STATUSES: [&str; 2] = [ACTIVE, STOPPED];

pub fn status(record: &Record) -> &'static str {
    if record.phase().is_terminal() { STOPPED } else { ACTIVE }
}

/// Whether a browser has this in its metadata: `key` or `key=value`.
pub fn has_metadata(record: &Record, term: &str) -> bool {
    record.object.spec.user_metadata.as_ref().is_some_and(|metadata| is_in(metadata, term))
}

fn is_in(metadata: &Map<String, Value>, term: &str) -> bool {
    let with_value = term.split_once('=');
    metadata.contains_key(term)
        || with_value.is_some_and(|(key, value)| metadata.get(key).is_some_and(|has| has == value))
}

/// A session. The call for one tells of its tasks and its share, too.
#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    #[schemars(extend("format" = "uuid"))]
    id: String,
    #[schemars(extend("enum" = STATUSES))]
    status: &'static str,
    /// Null in this version.
    live_url: Option<String>,
    /// Null in this version.
    recording_url: Option<String>,
    #[schemars(with = "String", extend("format" = "date-time"))]
    started_at: Timestamp,
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    finished_at: Option<Timestamp>,
    persist_memory: bool,
    keep_alive: bool,
    /// 0 in this version.
    proxy_used_mb: &'static str,
    /// 0 in this version.
    proxy_cost: &'static str,
    #[serde(flatten)]
    detail: Option<SessionDetail>,
}

#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
struct SessionDetail {
    /// Empty: agents are not run here.
    tasks: Vec<Value>,
    #[schemars(extend("format" = "uri"))]
    public_share_url: Option<String>,
}

/// A browser.
#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Browser {
    #[schemars(extend("format" = "uuid"))]
    id: String,
    #[schemars(extend("enum" = STATUSES))]
    status: &'static str,
    /// Null in this version.
    live_url: Option<String>,
    /// Where it speaks CDP, while it lives: `/json/version` is below it, and with `ws` it is the socket.
    #[schemars(extend("format" = "uri"))]
    cdp_url: Option<String>,
    #[schemars(with = "String", extend("format" = "date-time"))]
    timeout_at: Timestamp,
    #[schemars(with = "String", extend("format" = "date-time"))]
    started_at: Timestamp,
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    finished_at: Option<Timestamp>,
    /// Null in this version.
    recording_url: Option<String>,
    /// 0 in this version.
    proxy_used_mb: &'static str,
    /// 0 in this version.
    proxy_cost: &'static str,
    /// 0 in this version.
    browser_cost: &'static str,
    metadata: Map<String, Value>,
}

/// Either of them.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Item {
    Session(Session),
    Browser(Browser),
}

fn session(record: &Record, detail: Option<SessionDetail>) -> Session {
    Session {
        id: record.id.clone(),
        status: status(record),
        live_url: None,
        recording_url: None,
        started_at: record.started(),
        finished_at: record.ended(),
        persist_memory: record.front_state()["persistMemory"].as_bool().unwrap_or(true),
        keep_alive: record.object.spec.keep_alive.unwrap_or(true),
        proxy_used_mb: "0",
        proxy_cost: "0",
        detail,
    }
}

fn browser(gateway: &Gateway, request: &Request, record: &Record) -> Browser {
    Browser {
        id: record.id.clone(),
        status: status(record),
        live_url: None,
        cdp_url: cdp_url(gateway, request, record),
        timeout_at: record.expires(),
        started_at: record.started(),
        finished_at: record.ended(),
        recording_url: None,
        proxy_used_mb: "0",
        proxy_cost: "0",
        browser_cost: "0",
        metadata: record.object.spec.user_metadata.clone().unwrap_or_default(),
    }
}

/// As lists and create calls show it.
pub fn item(gateway: &Gateway, request: &Request, resource: Resource, record: &Record) -> Item {
    match resource {
        Resource::Sessions => Item::Session(session(record, None)),
        Resource::Browsers => Item::Browser(browser(gateway, request, record)),
    }
}

/// As the calls for one show it.
pub fn detail(gateway: &Gateway, request: &Request, resource: Resource, record: &Record) -> Item {
    match resource {
        Resource::Sessions => {
            let public_share_url = public_share::url(gateway, request, record);
            let detail = SessionDetail { tasks: Vec::new(), public_share_url };
            Item::Session(session(record, Some(detail)))
        }
        Resource::Browsers => Item::Browser(browser(gateway, request, record)),
    }
}

/// Where a live browser speaks CDP: an http URL, below which `/json/version` is.
fn cdp_url(gateway: &Gateway, request: &Request, record: &Record) -> Option<String> {
    let (base, key) = (http_base(gateway, request), signing_key(gateway, record));
    (status(record) == ACTIVE).then(|| format!("{base}/cdp/{}?signingKey={key}", record.id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn metadata_are_filtered_by_key_or_by_key_and_value() {
        let metadata = json!({"team": "a", "x=y": "z"});
        let metadata = metadata.as_object().unwrap();
        for (term, expected) in [
            ("team", true),
            ("team=a", true),
            ("team=b", false),
            ("other", false),
            ("x=y", true),
            ("", false),
        ] {
            assert_eq!(is_in(metadata, term), expected, "{term}");
        }
    }

    #[test]
    fn a_session_has_every_field_also_where_there_is_nothing_to_tell() {
        let object = json!({
            "apiVersion": "browser-operator.io/v1alpha1", "kind": "BrowserSession",
            "metadata": {
                "creationTimestamp": "2026-11-29T03:00:00Z",
                "annotations": {"browser-operator.io/front": r#"{"persistMemory": false}"#},
            },
            "spec": {"capabilities": {}},
        });
        let object = serde_json::from_value(object).unwrap();
        let record = Record { id: "an-id".to_owned(), object };
        let mut expected = json!({
            "id": "an-id", "status": "active", "liveUrl": null, "recordingUrl": null,
            "startedAt": "2026-11-29T03:00:00Z", "finishedAt": null, "persistMemory": false,
            "keepAlive": true, "proxyUsedMb": "0", "proxyCost": "0",
        });
        assert_eq!(serde_json::to_value(session(&record, None)).unwrap(), expected);
        let detail = SessionDetail { tasks: Vec::new(), public_share_url: None };
        expected["tasks"] = json!([]);
        expected["publicShareUrl"] = Value::Null;
        assert_eq!(serde_json::to_value(session(&record, Some(detail))).unwrap(), expected);
    }
}
