//! `BrowserSession`: one browser for one client.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    capabilities::{Capabilities, CapabilitySet, free_object},
    class::{Feature, OperatingSystem},
    conditions,
    expose::Expose,
    features::Features,
    names::{PROTOCOL_ANNOTATION, Protocol},
    proxy::Proxy,
    schema::WORD,
    status::{BrowserSessionStatus, Phase},
};

/// The maximum of a session's time limits: a day.
pub const MAX_SECONDS: i32 = 86_400;
/// The time limit of a session that names none, in a class that names none.
pub const DEFAULT_TIMEOUT_SECONDS: i32 = 1800;
/// The maximum size of `spec.userMetadata` and of `spec.newSessionParameters`, each as JSON.
pub const MAX_FREE_BYTES: usize = 16 * 1024;

/// What `spec.startUrl` may be.
pub const START_URLS: &str = "startUrl must be about:blank or begin with http:// or https:// and a host, without spaces and control characters";

/// Whether `spec.startUrl` may be this; the object's own rule is a little stricter.
#[must_use]
pub fn is_start_url(url: &str) -> bool {
    let page = || url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let is_page = |rest: &str| {
        !rest.starts_with(['/', '?', '#'])
            && !rest.is_empty()
            && !rest.contains(|c: char| c.is_control() || c.is_whitespace())
    };
    url == "about:blank" || page().is_some_and(is_page)
}

/// One browser for one client for a bounded time. Of the spec, `proxy` alone may change.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[kube(
    group = "browser-operator.io",
    version = "v1alpha1",
    kind = "BrowserSession",
    doc = "One browser for one client for a bounded time. Wait for the condition Ready, then use status.webSocketUrl or status.webDriverUrl.",
    namespaced,
    status = "BrowserSessionStatus",
    derive = "PartialEq",
    derive = "Default",
    shortname = "bs",
    category = "browsers",
    selectable = ".spec.className",
    selectable = ".status.phase",
    validation = Rule::new(crate::immutable::rule()).message("spec is immutable: create another BrowserSession; spec.proxy alone may change"),
    validation = Rule::new("self.metadata.name.size() <= 200").message("metadata.name must have at most 200 characters"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[0].reason"),
    printcolumn(name = "Class", type_ = "string", json_path = ".status.className"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Region", type_ = "string", json_path = ".status.region", priority = 1),
    printcolumn(name = "Node", type_ = "string", json_path = ".status.nodeName", priority = 1),
    printcolumn(name = "Queue", type_ = "integer", json_path = ".status.queuePosition", priority = 1),
    printcolumn(name = "Expires", type_ = "string", json_path = ".status.expiresAt", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[0].message", priority = 1)
)]
#[cfg_attr(test, kube(cel))]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.context)").message("spec.context is not available in this version"),
    validation = Rule::new("!has(self.extensions) || self.extensions.size() == 0").message("spec.extensions is not available in this version"),
    validation = Rule::new("!self.blockAds").message("spec.blockAds: true is not available in this version; leave it false"),
    validation = Rule::new("!has(self.record) || !self.record").message("spec.record: true is not available in this version; leave it out, and use spec.recording"),
    validation = Rule::new("!has(self.recording) || self.recording.mode == 'never'").message("spec.recording.mode: only never is available in this version"),
    validation = Rule::new("!self.log").message("spec.log: true is not available in this version; leave it false"),
)]
pub struct BrowserSessionSpec {
    /// The BrowserClass. Absent: the first class that matches the capabilities, the default class before the others by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = WORD))]
    pub class_name: Option<String>,

    /// The capabilities of WebDriver's New Session. Absent: any browser, with WebDriver BiDi.
    #[serde(default = "Capabilities::any_with_bidi")]
    pub capabilities: Capabilities,

    /// Further members of the body of WebDriver's New Session, which the driver gets as they are: JSON of at most 16 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "free_object")]
    pub new_session_parameters: Option<CapabilitySet>,

    /// One of the class's regions. Absent: the class's default region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = WORD))]
    pub region: Option<String>,

    /// Ends the session this many seconds after `status.startedAt`. Absent: what the class's `ceilings` say, otherwise 1800.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86_400))]
    pub timeout_seconds: Option<i32>,

    /// Ends the session after this many seconds without a command or a frame, counted from its first use. 0: never.
    #[serde(default = "default_idle_timeout_seconds")]
    #[schemars(range(min = 0, max = 86_400))]
    pub idle_timeout_seconds: i32,

    /// Ends the session if no client uses it within this many seconds after `status.startedAt`. 0: never.
    #[serde(default)]
    #[schemars(range(min = 0, max = 86_400))]
    pub connect_timeout_seconds: i32,

    /// Whether the session outlives its sockets. true: it does. false: it ends with its last socket, at once after a Close
    /// frame, 30 seconds after a dropped connection. Absent: as the protocol that created it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_alive: Option<bool>,

    /// The size of the page's viewport. Absent: the browser's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub viewport: Option<Viewport>,

    /// A page to open before the session becomes Ready: http, https or about:blank. The session does not fail if the page
    /// does not load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8192))]
    #[x_kube(validation = Rule::new(r"self == 'about:blank' || self.matches('^https?://[^/?#\\pC\\pZ][^\\pC\\pZ]*$')").message(START_URLS))]
    pub start_url: Option<String>,

    /// The operating system that the browser reports in its user agent and to scripts: one of the class's
    /// operatingSystems. Absent: the one it runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os: Option<OperatingSystem>,

    /// What the class's providers do for this session. A feature without a provider is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<Features>,

    /// Accept untrusted certificates, as the capability acceptInsecureCerts does.
    #[serde(default)]
    pub ignore_certificate_errors: bool,

    /// Data of your own: JSON of at most 16 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "free_object")]
    pub user_metadata: Option<CapabilitySet>,

    /// Deletes the object this many seconds after the session's end. Absent: it is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 31_536_000))]
    pub ttl_seconds_after_finished: Option<i32>,

    /// A Service for this session alone, through which clients reach the browser without the gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expose: Option<Expose>,

    /// The order in the queue of a full class: higher first, among the sessions of the namespaces that have less than their
    /// fair share of the class.
    #[serde(default)]
    #[schemars(range(min = -1000, max = 1000))]
    pub priority: i32,

    /// The routes of the browser's requests. Absent: direct. May change; connections that are open keep theirs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Proxy>,

    /// A browser profile that outlives its sessions. Refused in this version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<ContextRef>,

    /// Browser extensions to load. Refused in this version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 253), regex(pattern = WORD)))]
    pub extensions: Option<Vec<String>>,

    /// The only hosts that the browser may connect to, as patterns like those of `spec.proxy.rules[].domainPattern`: `*.` and a
    /// name for all its subdomains. Absent or empty: every host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128), inner(length(min = 1, max = 253), regex(pattern = WORD)))]
    pub allowed_domains: Option<Vec<String>>,

    /// Hosts that the class's `clusterAccess` closes and this session opens, as patterns, addresses or networks. Their addresses
    /// must be in the class's `egress.privateNetworks`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128), inner(length(min = 1, max = 253), regex(pattern = WORD)))]
    pub private_hosts: Vec<String>,

    /// Block advertisements. Must be false in this version.
    #[serde(default)]
    pub block_ads: bool,

    /// Whether the screen is recorded. Absent: never. The mode must be never in this version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording: Option<Recording>,

    /// Deprecated: use `recording`. Must be false; the next version removes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<bool>,

    /// Keep the browser's log. Must be false in this version.
    #[serde(default)]
    pub log: bool,
}

fn default_idle_timeout_seconds() -> i32 {
    300
}

impl BrowserSessionSpec {
    /// See [`Features::asked`].
    pub fn features(&self) -> impl Iterator<Item = (Feature, &'static str)> {
        self.features.iter().flat_map(Features::asked)
    }
}

/// The size of a page's viewport in CSS pixels.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
pub struct Viewport {
    /// From 320 to 7680.
    #[schemars(range(min = 320, max = 7680))]
    pub width: i32,
    /// From 240 to 4320.
    #[schemars(range(min = 240, max = 4320))]
    pub height: i32,
}

/// Whether the screen is recorded.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
pub struct Recording {
    /// When a recording is made and kept.
    pub mode: RecordingMode,
}

/// When a recording is made and kept.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum RecordingMode {
    /// Nothing is recorded.
    Never,
    /// The session is recorded; the recording is kept only if the session failed.
    OnFailure,
    /// The session is recorded, and the recording is kept.
    Always,
}

/// A browser profile to start with.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
pub struct ContextRef {
    /// The BrowserContext's name.
    #[schemars(length(min = 1, max = 253), regex(pattern = WORD))]
    pub name: String,
    /// Whether the session's changes are saved to the profile.
    #[serde(default)]
    pub persist: bool,
}

impl BrowserSession {
    /// Whether the session has ended for good.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.status.as_ref().and_then(|status| status.phase).is_some_and(Phase::is_terminal)
    }

    /// The condition of that type, if it has one.
    #[must_use]
    pub fn condition(&self, type_: &str) -> Option<&Condition> {
        self.status.as_ref()?.conditions.iter().find(|c| c.type_ == type_)
    }

    /// The condition that says why the session is as it is: `Finished` once it has ended, `Ready` before.
    #[must_use]
    pub fn telling_condition(&self) -> Option<&Condition> {
        self.condition(conditions::FINISHED).or_else(|| self.condition(conditions::READY))
    }

    /// Which protocol created the session.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        let annotations = self.metadata.annotations.as_ref();
        Protocol::from_annotation(
            annotations
                .and_then(|annotations| annotations.get(PROTOCOL_ANNOTATION))
                .map(String::as_str),
        )
    }

    /// Whether the browser can be driven.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.condition(conditions::READY).is_some_and(|c| c.status == "True")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::CustomResourceExt;
    use serde_json::json;

    fn session(spec: serde_json::Value) -> BrowserSession {
        serde_json::from_value(json!({
            "apiVersion": "browser-operator.io/v1alpha1",
            "kind": "BrowserSession",
            "metadata": {"name": "s"},
            "spec": spec,
        }))
        .unwrap()
    }

    #[test]
    fn an_empty_spec_asks_for_any_browser_with_bidi() {
        let session = session(json!({}));
        assert_eq!(
            session.spec.capabilities.to_json(),
            json!({"alwaysMatch": {"webSocketUrl": true}})
        );
        assert!(session.validate_cel().is_ok(), "{:?}", session.validate_cel());
    }

    #[test]
    fn a_field_that_is_not_available_is_refused_by_name() {
        for (spec, field) in [
            (json!({"context": {"name": "c"}}), "spec.context"),
            (json!({"blockAds": true}), "spec.blockAds"),
            (json!({"record": true}), "spec.record: true"),
            (json!({"recording": {"mode": "onFailure"}}), "spec.recording.mode"),
            (json!({"recording": {"mode": "always"}}), "spec.recording.mode"),
            (json!({"log": true}), "spec.log"),
            (json!({"extensions": ["e"]}), "spec.extensions"),
        ] {
            let refusal = format!("{:?}", session(spec).validate_cel().unwrap_err());
            assert!(refusal.contains(field), "{refusal}");
        }
    }

    #[test]
    fn harmless_values_of_those_fields_are_accepted() {
        for spec in [
            json!({"blockAds": false, "record": false, "log": false, "priority": 5, "extensions": []}),
            json!({"recording": {"mode": "never"}}),
            json!({"allowedDomains": ["a.example"], "privateHosts": ["10.0.0.0/8"]}),
        ] {
            let session = session(spec.clone());
            assert!(session.validate_cel().is_ok(), "{spec}: {:?}", session.validate_cel());
        }
    }

    #[test]
    fn only_an_object_that_has_record_stored_keeps_it() {
        let stored = session(json!({"record": false}));
        assert_eq!(serde_json::to_value(&stored.spec).unwrap()["record"], json!(false));
        let spec = serde_json::to_value(session(json!({})).spec).unwrap();
        assert_eq!(spec.get("record"), None);
    }

    #[test]
    fn a_start_url_is_a_web_page() {
        for (url, allowed) in [
            ("https://example.com", true),
            ("http://example.com", true),
            ("about:blank", true),
            ("file:///etc/passwd", false),
            ("javascript:alert(1)", false),
            ("https://example.com/a?b=c#d", true),
            ("https://user@example.com:8443/пример", true),
            ("http://[::1]:8080/", true),
            ("http://", false),
            ("http:///etc/passwd", false),
            ("https://?q", false),
            ("HTTP://example.com", false),
            ("view-source:http://example.com", false),
            (" http://example.com", false),
            ("http://example.com\n", false),
            ("http://example.com/a b", false),
            ("http://example.com/\r\nhost: b", false),
            ("http://example.com/\0", false),
            ("http://example.com/\u{2028}", false),
            ("about:blank\n", false),
        ] {
            let verdict = session(json!({"startUrl": url})).validate_cel();
            assert_eq!(verdict.is_ok(), allowed, "{url:?}");
            assert_eq!(is_start_url(url), allowed, "{url:?}");
        }
    }

    #[test]
    fn an_object_that_nobody_has_seen_is_in_progress_by_its_schema() {
        let definition = serde_json::to_value(BrowserSession::crd()).unwrap();
        let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        let status = schema["properties"]["status"]["default"].clone();
        let mut unseen = session(json!({}));
        unseen.status = Some(serde_json::from_value(status).unwrap());
        let ready = unseen.condition(conditions::READY).unwrap();
        assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("Unknown", "Pending"));
        assert!(!unseen.is_ready() && !unseen.is_terminal());
        assert_eq!(unseen.status.unwrap().conditions.len(), 1);
    }

    #[test]
    fn the_spec_cannot_change() {
        let (old, new) = (session(json!({})), session(json!({"timeoutSeconds": 7})));
        assert!(old.validate_cel_update(&old).is_ok());
        assert!(new.validate_cel_update(&old).is_err());
        assert!(old.validate_cel_update(&new).is_err());
    }

    #[test]
    fn of_the_spec_the_proxy_alone_may_change() {
        let definition = serde_json::to_value(BrowserSession::crd()).unwrap();
        let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        let properties = schema["properties"]["spec"]["properties"].as_object().unwrap();
        let fields = properties.keys().map(String::as_str).filter(|field| *field != "proxy");
        let mut fixed = crate::immutable::FIELDS;
        fixed.sort_unstable();
        assert_eq!(Vec::from_iter(fields), fixed);
        let none = session(json!({}));
        let some = session(json!({"proxy": {"rules": [{"type": "block"}]}}));
        let other = session(json!({"proxy": {"default": {"type": "direct"}}}));
        for (old, new) in [(&none, &some), (&some, &other), (&other, &none)] {
            assert!(new.validate_cel_update(old).is_ok(), "{:?}", new.validate_cel_update(old));
        }
    }
}
