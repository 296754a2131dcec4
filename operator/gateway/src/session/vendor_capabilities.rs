//! The operator's vendor capabilities, `browser-operator:...` (WebDriver, section "Extension capabilities"): fields of the object's
//! spec, for clients that write no object.

use crds::{
    BrowserSessionSpec, Capabilities,
    capabilities::CapabilitySet,
    names::Protocol,
    session::{START_URLS, is_start_url},
};
use placement::BroughtCredentials;
use serde_json::{Map, Value};
use webdriver::{capabilities::OWN_PREFIX, error::WebDriverError};

use super::request::SessionRequest;

/// Each capability behind the prefix, and its field of the spec. Every field has one; `NOT_CAPABILITIES` in the tests names the exceptions.
const FIELDS: [(&str, &str); 22] = [
    ("class", "className"),
    ("className", "className"),
    ("region", "region"),
    ("timeoutSeconds", "timeoutSeconds"),
    ("idleTimeoutSeconds", "idleTimeoutSeconds"),
    ("connectTimeoutSeconds", "connectTimeoutSeconds"),
    ("allowedDomains", "allowedDomains"),
    ("blockAds", "blockAds"),
    ("context", "context"),
    ("extensions", "extensions"),
    ("features", "features"),
    ("ignoreCertificateErrors", "ignoreCertificateErrors"),
    ("keepAlive", "keepAlive"),
    ("log", "log"),
    ("os", "os"),
    ("priority", "priority"),
    ("privateHosts", "privateHosts"),
    ("proxy", "proxy"),
    ("recording", "recording"),
    ("viewport", "viewport"),
    ("startUrl", "startUrl"),
    ("userMetadata", "userMetadata"),
];
const NAMESPACE: &str = "namespace";

/// Defaults of the gateway alone: a record does not stay for ever, and a session ends whose client never comes back.
const TTL_SECONDS: i32 = 3600;
const CONNECT_TIMEOUT_SECONDS: i32 = 300;

impl SessionRequest {
    /// Reads the capabilities of a request, which have been validated: ours become fields, the rest stays as it is.
    ///
    /// # Errors
    /// `invalid argument`, with the name of a capability that is not known or has a wrong value.
    pub fn from_capabilities(
        capabilities: &Value,
        protocol: Protocol,
    ) -> Result<Self, WebDriverError> {
        let mut capabilities: Capabilities = serde_json::from_value(capabilities.clone())
            .map_err(|error| WebDriverError::invalid_argument(error.to_string()))?;
        let mut ours = take_ours(capabilities.always_match.as_mut());
        // Some clients put everything into firstMatch, but the object has each field once.
        let alternatives = capabilities.first_match.iter_mut().flatten();
        let mut alternatives = alternatives.map(|alternative| take_ours(Some(alternative)));
        if let Some(first) = alternatives.next() {
            if alternatives.any(|other| other != first) {
                return Err(WebDriverError::invalid_argument(format!(
                    "capabilities {OWN_PREFIX}... must be the same in every firstMatch, or stand in alwaysMatch"
                )));
            }
            ours.extend(first);
        }
        let mut namespace = None;
        let mut spec = Map::new();
        for (name, value) in ours {
            if name == NAMESPACE {
                let Value::String(value) = value else {
                    return Err(WebDriverError::invalid_argument(format!(
                        "{OWN_PREFIX}{NAMESPACE} must be a string"
                    )));
                };
                namespace = Some(value);
            } else if let Some((_, field)) = FIELDS.iter().find(|(known, _)| *known == name) {
                if spec.insert((*field).to_owned(), value).is_some() {
                    return Err(WebDriverError::invalid_argument(format!(
                        "{OWN_PREFIX}{name} sets {field}, which another capability has set"
                    )));
                }
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
        if spec.start_url.as_deref().is_some_and(|url| !is_start_url(url)) {
            return Err(WebDriverError::invalid_argument(format!("{OWN_PREFIX}{START_URLS}")));
        }
        spec.capabilities = capabilities;
        let credentials = BroughtCredentials::new();
        Ok(Self { namespace, spec, protocol, front: None, credentials })
    }
}

/// Takes our capabilities out of a set, with their names behind the prefix. Null counts as absent.
fn take_ours(set: Option<&mut CapabilitySet>) -> Vec<(String, Value)> {
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
    use crds::{BrowserSession, Recording, RecordingMode};
    use kube::CustomResourceExt;
    use serde_json::json;
    use std::collections::BTreeSet;

    #[test]
    fn our_capabilities_become_fields_and_the_rest_stays() {
        let request = SessionRequest::from_capabilities(&json!({
            "alwaysMatch": {
                "browserName": "chrome", "browser-operator:region": "eu", "browser-operator:class": "c",
                "browser-operator:timeoutSeconds": 60, "browser-operator:namespace": "team-a",
                "browser-operator:keepAlive": null,
            },
            "firstMatch": [{}],
        }), Protocol::Classic)
        .unwrap();
        assert_eq!(request.namespace.as_deref(), Some("team-a"));
        assert_eq!(request.spec.region.as_deref(), Some("eu"));
        assert_eq!(request.spec.class_name.as_deref(), Some("c"));
        assert_eq!(request.spec.timeout_seconds, Some(60));
        assert_eq!(request.spec.connect_timeout_seconds, 300);
        assert_eq!(request.spec.ttl_seconds_after_finished, Some(3600));
        assert_eq!(
            request.spec.capabilities.to_json(),
            json!({"alwaysMatch": {"browserName": "chrome"}, "firstMatch": [{}]})
        );
    }

    #[test]
    fn a_client_may_put_them_into_first_match() {
        let request = SessionRequest::from_capabilities(
            &json!({"firstMatch": [
                {"browserName": "chrome", "browser-operator:region": "eu"},
                {"browserName": "firefox", "browser-operator:region": "eu"},
            ]}),
            Protocol::Classic,
        )
        .unwrap();
        assert_eq!(request.spec.region.as_deref(), Some("eu"));
        assert_eq!(
            request.spec.capabilities.to_json(),
            json!({"firstMatch": [{"browserName": "chrome"}, {"browserName": "firefox"}]})
        );
    }

    /// The fields that no capability sets.
    const NOT_CAPABILITIES: [(&str, &str); 5] = [
        ("capabilities", "they are the rest of the same body"),
        ("newSessionParameters", "the other members of the body of New Session are these"),
        (
            "expose",
            "a Service, which may cost a cloud's load balancer, is for whoever may write the object",
        ),
        ("record", "deprecated: recording is its successor"),
        (
            "ttlSecondsAfterFinished",
            "the gateway sets it, so that no client keeps records for ever",
        ),
    ];

    #[test]
    fn every_field_of_the_spec_has_a_capability() {
        let definition = BrowserSession::crd();
        let schema = definition.spec.versions[0].schema.as_ref().unwrap();
        let object = schema.open_api_v3_schema.as_ref().unwrap().properties.as_ref().unwrap();
        let fields: BTreeSet<&str> =
            object["spec"].properties.as_ref().unwrap().keys().map(String::as_str).collect();
        let capabilities: BTreeSet<&str> = FIELDS.iter().map(|(_, field)| *field).collect();
        let exceptions: BTreeSet<&str> = NOT_CAPABILITIES.iter().map(|(field, _)| *field).collect();
        assert!(capabilities.is_disjoint(&exceptions));
        assert_eq!(capabilities.union(&exceptions).copied().collect::<BTreeSet<_>>(), fields);
        // Each under its own name; `class` is the short one that there was first.
        for (name, field) in FIELDS {
            assert!(name == field || name == "class", "{name}");
        }
        for field in capabilities {
            assert!(FIELDS.contains(&(field, field)), "{field}");
        }
    }

    #[test]
    fn the_fields_of_the_object_are_read_from_their_capabilities() {
        let body = json!({"alwaysMatch": {
            "browser-operator:className": "c",
            "browser-operator:allowedDomains": ["a.example"],
            "browser-operator:blockAds": true,
            "browser-operator:extensions": ["e"],
            "browser-operator:ignoreCertificateErrors": true,
            "browser-operator:log": true,
            "browser-operator:recording": {"mode": "onFailure"},
        }});
        let request = SessionRequest::from_capabilities(&body, Protocol::Classic).unwrap();
        let spec = request.spec;
        assert_eq!(spec.class_name.as_deref(), Some("c"));
        assert_eq!(spec.allowed_domains.as_deref(), Some(&["a.example".to_owned()][..]));
        assert_eq!(spec.extensions.as_deref(), Some(&["e".to_owned()][..]));
        assert!(spec.block_ads && spec.ignore_certificate_errors && spec.log);
        assert_eq!(spec.recording, Some(Recording { mode: RecordingMode::OnFailure }));
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
            (
                json!({"alwaysMatch": {"browser-operator:class": "a", "browser-operator:className": "b"}}),
                "browser-operator:className sets className, which another capability has set",
            ),
        ] {
            let error = SessionRequest::from_capabilities(&set, Protocol::Classic).unwrap_err();
            assert!(error.message.contains(word), "{}", error.message);
        }
    }
}
