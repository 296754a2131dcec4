//! How Browserbase shows a session, a project and its usage.

use crds::{BrowserClass, Phase};
use jiff::Timestamp;
use kube::ResourceExt;
use serde_json::{Map, Value, json};

use super::super::{problem::Problem, records::Record};

/// Every status.
pub const STATUSES: [&str; 5] = ["PENDING", RUNNING, "ERROR", "TIMED_OUT", "COMPLETED"];
/// The status of a session that can be driven.
pub const RUNNING: &str = "RUNNING";
/// The region of a session of a class without regions: the service's own default. Clients check that it is one of the
/// service's (Stagehand's `connect` does), so it cannot be a word of ours.
const NO_REGION: &str = "us-west-2";

/// A session's status.
pub fn status(record: &Record) -> &'static str {
    match record.phase() {
        Phase::Pending | Phase::Starting => "PENDING",
        Phase::Ready | Phase::Ending => RUNNING,
        Phase::Completed => "COMPLETED",
        Phase::TimedOut => "TIMED_OUT",
        Phase::Failed => "ERROR",
    }
}

/// A session, without the URLs of one that lives.
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

/// The browser's own inspector on a page: a URL for Chrome's address bar.
pub fn inspector(socket: &str) -> String {
    let (scheme, rest) = socket.split_once("://").unwrap_or(("ws", socket));
    let rest: String = url::form_urlencoded::byte_serialize(rest.as_bytes()).collect();
    format!("devtools://devtools/bundled/inspector.html?{scheme}={rest}")
}

/// A project: a namespace, with what its classes have room for.
pub fn project(namespace: &str, records: &[Record], classes: &[BrowserClass]) -> Value {
    let oldest = records.iter().map(Record::created).min().unwrap_or(Timestamp::UNIX_EPOCH);
    let newest = records.iter().map(Record::updated).max().unwrap_or(Timestamp::UNIX_EPOCH);
    // A class without a limit has as much room as the cluster.
    let concurrency = classes
        .iter()
        .map(|class| class.spec.capacity)
        .try_fold(0_i32, |sum, capacity| Some(sum.saturating_add(capacity?)))
        .unwrap_or(i32::MAX);
    json!({
        "id": namespace, "name": namespace, "ownerId": namespace,
        "concurrency": concurrency, "defaultTimeout": 1800,
        "createdAt": oldest.to_string(), "updatedAt": newest.to_string(),
    })
}

/// What the records that are still there have used.
pub fn usage(records: &[Record], now: Timestamp) -> Value {
    let seconds: i64 = records
        .iter()
        .filter(|record| record.object.status.as_ref().is_some_and(|s| s.started_at.is_some()))
        .map(|record| {
            record.ended().unwrap_or(now).duration_since(record.started()).as_secs().max(0)
        })
        .sum();
    json!({"browserMinutes": seconds / 60, "proxyBytes": 0})
}

/// What a session's metadata must be.
pub struct Query {
    path: Vec<String>,
    value: String,
}

/// Reads `user_metadata['key']:'value'`, the service's own form; a key may be nested: `['a']['b']`.
pub fn query(text: &str) -> Result<Query, Problem> {
    let malformed = || {
        let message = "must be of the form user_metadata['key']:'value'";
        Problem::fault(&["query", "q"], "value_error", message)
    };
    let rest = text.trim().strip_prefix("user_metadata").ok_or_else(malformed)?;
    let (keys, value) = rest.split_once("]:").ok_or_else(malformed)?;
    let unquoted = |text: &str| {
        let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
        Some(text.strip_prefix(quote)?.strip_suffix(quote)?.to_owned())
    };
    let value = unquoted(value.trim()).ok_or_else(malformed)?;
    let path: Option<Vec<String>> =
        keys.trim().strip_prefix('[').ok_or_else(malformed)?.split("][").map(unquoted).collect();
    Ok(Query { path: path.ok_or_else(malformed)?, value })
}

impl Query {
    /// Whether a session is one of those.
    pub fn matches(&self, record: &Record) -> bool {
        record.object.spec.user_metadata.as_ref().is_some_and(|metadata| self.is_in(metadata))
    }

    fn is_in(&self, metadata: &Map<String, Value>) -> bool {
        let mut path = self.path.iter();
        let first = path.next().and_then(|key| metadata.get(key));
        let found = path.fold(first, |value, key| value?.get(key));
        found.is_some_and(|value| match value {
            Value::String(text) => *text == self.value,
            Value::Number(number) => number.to_string() == self.value,
            Value::Bool(yes) => self.value == if *yes { "true" } else { "false" },
            _ => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_are_searched_by_key_and_value() {
        let metadata = json!({"env": "prod", "build": 4711, "deep": {"a": "b:c"}});
        let metadata = metadata.as_object().unwrap();
        for (q, expected) in [
            ("user_metadata['env']:'prod'", true),
            ("user_metadata[\"env\"]:\"prod\"", true),
            ("user_metadata['env']:'dev'", false),
            ("user_metadata['build']:'4711'", true),
            ("user_metadata['deep']['a']:'b:c'", true),
            ("user_metadata['deep']['x']:'b'", false),
        ] {
            match query(q) {
                Ok(query) => assert_eq!(query.is_in(metadata), expected, "{q}"),
                Err(_) => assert!(!expected, "{q}"),
            }
        }
        for q in ["", "env=prod", "user_metadata", "user_metadata[env]:prod", "user_metadata['a'"] {
            assert!(query(q).is_err(), "{q}");
        }
    }

    #[test]
    fn the_inspector_gets_the_socket_as_one_parameter() {
        assert_eq!(
            inspector("wss://h/cdp/i?signingKey=a"),
            "devtools://devtools/bundled/inspector.html?wss=h%2Fcdp%2Fi%3FsigningKey%3Da"
        );
    }
}
