//! How Browser Use renders a session and a browser. Times carry their zone.

use serde_json::{Map, Value, json};

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

fn session(record: &Record) -> Value {
    let persist = record.front_state()["persistMemory"].as_bool().unwrap_or(true);
    json!({
        "id": record.id,
        "status": status(record),
        "liveUrl": null,
        "recordingUrl": null,
        "startedAt": record.started().to_string(),
        "finishedAt": record.ended().map(|at| at.to_string()),
        "persistMemory": persist,
        "keepAlive": record.object.spec.keep_alive.unwrap_or(true),
        "proxyUsedMb": "0",
        "proxyCost": "0",
    })
}

fn browser(record: &Record, cdp_url: Option<String>) -> Value {
    json!({
        "id": record.id,
        "status": status(record),
        "liveUrl": null,
        "cdpUrl": cdp_url,
        "timeoutAt": record.expires().to_string(),
        "startedAt": record.started().to_string(),
        "finishedAt": record.ended().map(|at| at.to_string()),
        "recordingUrl": null,
        "proxyUsedMb": "0",
        "proxyCost": "0",
        "browserCost": "0",
        "metadata": record.object.spec.user_metadata.clone().unwrap_or_default(),
    })
}

/// As lists and create calls show it.
pub fn item(gateway: &Gateway, request: &Request, resource: Resource, record: &Record) -> Value {
    match resource {
        Resource::Sessions => session(record),
        Resource::Browsers => browser(record, cdp_url(gateway, request, record)),
    }
}

/// As the calls for one show it.
pub fn detail(gateway: &Gateway, request: &Request, resource: Resource, record: &Record) -> Value {
    let mut detail = item(gateway, request, resource, record);
    if resource == Resource::Sessions {
        detail["tasks"] = json!([]);
        detail["publicShareUrl"] = public_share::url(gateway, request, record).into();
    }
    detail
}

/// Where a live browser speaks CDP: an http URL, below which `/json/version` is.
fn cdp_url(gateway: &Gateway, request: &Request, record: &Record) -> Option<String> {
    let (base, key) = (http_base(gateway, request), signing_key(gateway, record));
    (status(record) == ACTIVE).then(|| format!("{base}/cdp/{}?signingKey={key}", record.id))
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
