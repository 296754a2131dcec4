//! The operator's own capabilities, `browser-operator:...`: fields of the object, for clients that write no object.

use crds::{BrowserSessionSpec, Capabilities, capabilities::CapabilitySet, names::Protocol};
use serde_json::{Map, Value};
use webdriver::{capabilities::OWN_PREFIX, error::WebDriverError};

/// Which capability is which field of the spec.
const FIELDS: [(&str, &str); 14] = [
    ("class", "className"),
    ("region", "region"),
    ("timeoutSeconds", "timeoutSeconds"),
    ("idleTimeoutSeconds", "idleTimeoutSeconds"),
    ("connectTimeoutSeconds", "connectTimeoutSeconds"),
    ("context", "context"),
    ("features", "features"),
    ("keepAlive", "keepAlive"),
    ("os", "os"),
    ("priority", "priority"),
    ("proxy", "proxy"),
    ("viewport", "viewport"),
    ("startUrl", "startUrl"),
    ("userMetadata", "userMetadata"),
];
const NAMESPACE: &str = "namespace";

/// What a gateway's client gets where it says nothing: a record that does not stay for ever, and an end if it never
/// comes back.
const TTL_SECONDS: i32 = 3600;
const CONNECT_TIMEOUT_SECONDS: i32 = 300;

/// What a client asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionRequest {
    /// The namespace that it names.
    pub namespace: Option<String>,
    /// The object's spec.
    pub spec: BrowserSessionSpec,
    /// How it will be reached.
    pub protocol: Protocol,
    /// What its front wants to find again.
    pub front: Option<Value>,
}

impl SessionRequest {
    /// Reads a request's capabilities, which have been validated: ours become fields, the rest stays as it is.
    ///
    /// # Errors
    /// `invalid argument`, with the name of one that is not ours to have or has a wrong value.
    pub fn from_capabilities(
        capabilities: &Value,
        protocol: Protocol,
    ) -> Result<Self, WebDriverError> {
        let mut capabilities: Capabilities = serde_json::from_value(capabilities.clone())
            .map_err(|error| WebDriverError::invalid_argument(error.to_string()))?;
        let mut own = take(capabilities.always_match.as_mut());
        // Some clients put everything into firstMatch. The object has each field once.
        let alternatives = capabilities.first_match.iter_mut().flatten();
        let mut alternatives = alternatives.map(|alternative| take(Some(alternative)));
        if let Some(first) = alternatives.next() {
            if alternatives.any(|other| other != first) {
                return Err(WebDriverError::invalid_argument(format!(
                    "capabilities {OWN_PREFIX}... must be the same in every firstMatch, or stand in alwaysMatch"
                )));
            }
            own.extend(first);
        }
        let mut namespace = None;
        let mut spec = Map::new();
        for (name, value) in own {
            if name == NAMESPACE {
                let Value::String(value) = value else {
                    return Err(WebDriverError::invalid_argument(format!(
                        "{OWN_PREFIX}{NAMESPACE} must be a string"
                    )));
                };
                namespace = Some(value);
            } else if let Some((_, field)) = FIELDS.iter().find(|(known, _)| *known == name) {
                spec.insert((*field).to_owned(), value);
            } else {
                let known: Vec<&str> = FIELDS.iter().map(|(known, _)| *known).collect();
                return Err(WebDriverError::invalid_argument(format!(
                    "{OWN_PREFIX}{name} is not known; there are: {}, {NAMESPACE}",
                    known.join(", ")
                )));
            }
        }
        spec.insert("ttlSecondsAfterFinished".to_owned(), TTL_SECONDS.into());
        spec.entry("connectTimeoutSeconds").or_insert(CONNECT_TIMEOUT_SECONDS.into());
        let mut spec: BrowserSessionSpec =
            serde_json::from_value(spec.into()).map_err(|error| {
                WebDriverError::invalid_argument(format!(
                    "a capability {OWN_PREFIX}... is wrong: {error}"
                ))
            })?;
        spec.capabilities = capabilities;
        Ok(Self { namespace, spec, protocol, front: None })
    }
}

/// Takes ours out of a set, with their names behind the prefix. Null is as if absent.
fn take(set: Option<&mut CapabilitySet>) -> Vec<(String, Value)> {
    let Some(set) = set else { return Vec::new() };
    let names: Vec<String> =
        set.keys().filter(|name| name.starts_with(OWN_PREFIX)).cloned().collect();
    names
        .into_iter()
        .filter_map(|name| {
            let value = set.remove(&name)?;
            Some((name[OWN_PREFIX.len()..].to_owned(), value))
        })
        .filter(|(_, value)| !value.is_null())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn our_capabilities_become_fields_and_the_rest_stays() {
        let wanted = SessionRequest::from_capabilities(&json!({
            "alwaysMatch": {
                "browserName": "chrome", "browser-operator:region": "eu", "browser-operator:class": "c",
                "browser-operator:timeoutSeconds": 60, "browser-operator:namespace": "team-a",
                "browser-operator:keepAlive": null,
            },
            "firstMatch": [{}],
        }), Protocol::Classic)
        .unwrap();
        assert_eq!(wanted.namespace.as_deref(), Some("team-a"));
        assert_eq!(wanted.spec.region.as_deref(), Some("eu"));
        assert_eq!(wanted.spec.class_name.as_deref(), Some("c"));
        assert_eq!(wanted.spec.timeout_seconds, 60);
        assert_eq!(wanted.spec.connect_timeout_seconds, 300);
        assert_eq!(wanted.spec.ttl_seconds_after_finished, Some(3600));
        assert_eq!(
            wanted.spec.capabilities.to_json(),
            json!({"alwaysMatch": {"browserName": "chrome"}, "firstMatch": [{}]})
        );
    }

    #[test]
    fn a_client_may_put_them_into_first_match() {
        let wanted = SessionRequest::from_capabilities(
            &json!({"firstMatch": [
                {"browserName": "chrome", "browser-operator:region": "eu"},
                {"browserName": "firefox", "browser-operator:region": "eu"},
            ]}),
            Protocol::Classic,
        )
        .unwrap();
        assert_eq!(wanted.spec.region.as_deref(), Some("eu"));
        assert_eq!(
            wanted.spec.capabilities.to_json(),
            json!({"firstMatch": [{"browserName": "chrome"}, {"browserName": "firefox"}]})
        );
    }

    #[test]
    fn one_that_is_wrong_is_named() {
        for (set, word) in [
            (json!({"alwaysMatch": {"browser-operator:colour": 1}}), "browser-operator:colour"),
            (json!({"alwaysMatch": {"browser-operator:timeoutSeconds": "x"}}), "invalid type"),
            (
                json!({"firstMatch": [{"browser-operator:region": "eu"}, {}]}),
                "the same in every firstMatch",
            ),
            (json!({"alwaysMatch": {"browser-operator:namespace": 1}}), "must be a string"),
        ] {
            let error = SessionRequest::from_capabilities(&set, Protocol::Classic).unwrap_err();
            assert!(error.message.contains(word), "{}", error.message);
        }
    }
}
