//! `BrowserSession`: what a user asks for, and what the operator has seen.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    capabilities::{Capabilities, CapabilitySet, free_object},
    class::{Feature, OperatingSystem},
    conditions,
    names::{PROTOCOL_ANNOTATION, Protocol},
    proxy::Proxy,
};

/// The most seconds that any of a session's limits may have: a day.
pub const MAX_SECONDS: i32 = 86_400;
/// The most bytes of `spec.userMetadata` and of `spec.newSessionParameters`, each written as JSON.
pub const MAX_FREE_BYTES: usize = 16 * 1024;

/// One browser for one client for a bounded time. The spec never changes: for another browser, create another
/// session.
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
    validation = Rule::new("self.spec == oldSelf.spec").message("spec is immutable: create another BrowserSession"),
    validation = Rule::new("self.metadata.name.size() <= 200").message("metadata.name must have at most 200 characters"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Class", type_ = "string", json_path = ".status.className"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Region", type_ = "string", json_path = ".status.region", priority = 1),
    printcolumn(name = "Node", type_ = "string", json_path = ".status.nodeName", priority = 1),
    printcolumn(name = "Queue", type_ = "integer", json_path = ".status.queuePosition", priority = 1),
    printcolumn(name = "Expires", type_ = "string", json_path = ".status.expiresAt", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].message", priority = 1)
)]
#[cfg_attr(test, kube(cel))]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.proxy)").message("spec.proxy is not available in this version"),
    validation = Rule::new("!has(self.context)").message("spec.context is not available in this version"),
    validation = Rule::new("!has(self.extensions) || self.extensions.size() == 0").message("spec.extensions is not available in this version"),
    validation = Rule::new("!has(self.allowedDomains) || self.allowedDomains.size() == 0").message("spec.allowedDomains is not available in this version"),
    validation = Rule::new("!self.blockAds").message("spec.blockAds: true is not available in this version; leave it false"),
    validation = Rule::new("!has(self.record) || !self.record").message("spec.record: true is not available in this version; leave it out, and use spec.recording"),
    validation = Rule::new("!has(self.recording) || self.recording.mode == 'never'").message("spec.recording.mode: only never is available in this version"),
    validation = Rule::new("!self.log").message("spec.log: true is not available in this version; leave it false"),
)]
pub struct BrowserSessionSpec {
    /// The BrowserClass to take the browser from. Absent: the default class is tried first, then the others by
    /// name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub class_name: Option<String>,

    /// What the browser must be able to do, exactly as in WebDriver's New Session. Absent: any browser, with
    /// WebDriver BiDi.
    #[serde(default = "Capabilities::any_with_bidi")]
    pub capabilities: Capabilities,

    /// Members of the body of WebDriver's New Session beside `capabilities`, which the driver gets as they are: free JSON
    /// of at most 16 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "free_object")]
    pub new_session_parameters: Option<CapabilitySet>,

    /// A region of the class. Absent: the class's default region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub region: Option<String>,

    /// The hard limit of the session's life in seconds, counted from `status.startedAt`.
    #[serde(default = "default_timeout_seconds")]
    #[schemars(range(min = 1, max = 86_400))]
    pub timeout_seconds: i32,

    /// Ends the session when, after its first use, there was no command and no frame for so many seconds.
    /// 0: never.
    #[serde(default = "default_idle_timeout_seconds")]
    #[schemars(range(min = 0, max = 86_400))]
    pub idle_timeout_seconds: i32,

    /// Ends the session when nobody used it within so many seconds of `status.startedAt`. 0: wait.
    #[serde(default)]
    #[schemars(range(min = 0, max = 86_400))]
    pub connect_timeout_seconds: i32,

    /// Whether the session outlives its sockets. Absent: the protocol's own rule; true: it stays; false: it ends
    /// with its last socket, at once after a Close frame, 30 s after a mere drop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_alive: Option<bool>,

    /// The size of the page's viewport. Absent: the browser's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub viewport: Option<Viewport>,

    /// A page to open before the session is handed out: http, https or about:blank. One that does not load
    /// does not fail the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8192))]
    #[x_kube(validation = Rule::new("self == 'about:blank' || self.startsWith('http://') || self.startsWith('https://')").message("startUrl must be about:blank or begin with http:// or https://"))]
    pub start_url: Option<String>,

    /// The operating system that the browser says it runs on, in its user agent and to scripts: one of the class's
    /// operatingSystems. Absent: the one that it runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os: Option<OperatingSystem>,

    /// What one of the class's providers is to do for this session. A feature that the class names no provider of is
    /// refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<Features>,

    /// Accept certificates that nobody trusts. The same as the capability acceptInsecureCerts, for whoever
    /// does not write capabilities.
    #[serde(default)]
    pub ignore_certificate_errors: bool,

    /// Anything that you want to find again: free JSON of at most 16 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "free_object")]
    pub user_metadata: Option<CapabilitySet>,

    /// How long the record stays after the end, in seconds. Absent: it is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 31_536_000))]
    pub ttl_seconds_after_finished: Option<i32>,

    /// Asks for a Service of the session's own, through which clients reach the browser without the gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expose: Option<Expose>,

    /// Who goes first when a class is full: the higher one, among the sessions of the namespaces that have less than
    /// their fair share of the class.
    #[serde(default)]
    #[schemars(range(min = -1000, max = 1000))]
    pub priority: i32,

    /// Where the browser's traffic goes. Absent: straight to the server. Refused in this version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Proxy>,

    /// A browser profile that outlives its sessions. Refused in this version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<ContextRef>,

    /// Browser extensions to load. Refused in this version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 253)))]
    pub extensions: Option<Vec<String>>,

    /// The only domains that pages may be loaded from. Refused in this version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128), inner(length(min = 1, max = 253)))]
    pub allowed_domains: Option<Vec<String>>,

    /// Block advertisements. Only false in this version.
    #[serde(default)]
    pub block_ads: bool,

    /// Whether the screen is recorded. Absent: never. Only the mode never in this version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording: Option<Recording>,

    /// Deprecated, and gone in the next version: use `recording`. Only false, for the objects that have it stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<bool>,

    /// Keep the browser's log. Only false in this version.
    #[serde(default)]
    pub log: bool,
}

fn default_timeout_seconds() -> i32 {
    1800
}

fn default_idle_timeout_seconds() -> i32 {
    300
}

/// What a provider is to do.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Features {
    /// Solve the captchas that pages show.
    #[serde(default)]
    pub solve_captchas: bool,
    /// The CSS selector of a captcha's image, where it is not to be guessed. Asks for solveCaptchas, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub captcha_image_selector: Option<String>,
    /// The CSS selector of the field that a captcha's solution goes into. Asks for solveCaptchas, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub captcha_input_selector: Option<String>,
    /// Keep pages from finding out that a program drives the browser.
    #[serde(default)]
    pub advanced_stealth: bool,
    /// Be known, to those who check browsers, as one that may be let in.
    #[serde(default)]
    pub verified: bool,
}

impl Features {
    /// What is asked for, and by which field of the object.
    pub fn asked(&self) -> impl Iterator<Item = (Feature, &'static str)> {
        [
            (self.solve_captchas, Feature::SolveCaptchas, "spec.features.solveCaptchas"),
            (
                self.captcha_image_selector.is_some(),
                Feature::SolveCaptchas,
                "spec.features.captchaImageSelector",
            ),
            (
                self.captcha_input_selector.is_some(),
                Feature::SolveCaptchas,
                "spec.features.captchaInputSelector",
            ),
            (self.advanced_stealth, Feature::AdvancedStealth, "spec.features.advancedStealth"),
            (self.verified, Feature::Verified, "spec.features.verified"),
        ]
        .into_iter()
        .filter(|(asked, ..)| *asked)
        .map(|(_, feature, field)| (feature, field))
    }
}

impl BrowserSessionSpec {
    /// The features that it asks for, and by which field.
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

/// A Service of the session's own.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
pub struct Expose {
    /// The Service's type.
    #[serde(default, rename = "type")]
    pub type_: ExposeType,
}

/// The type of a session's own Service.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
pub enum ExposeType {
    /// An address inside the cluster.
    #[default]
    ClusterIP,
    /// A port on each node.
    NodePort,
    /// An address from the cloud's load balancer.
    LoadBalancer,
}

impl ExposeType {
    /// The word of Service `spec.type`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClusterIP => "ClusterIP",
            Self::NodePort => "NodePort",
            Self::LoadBalancer => "LoadBalancer",
        }
    }
}

/// When the screen is recorded.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
pub struct Recording {
    /// Whether there is a recording, and whether it is kept.
    pub mode: RecordingMode,
}

/// Whether a session's recording is made and kept.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum RecordingMode {
    /// Nothing is recorded.
    Never,
    /// Every session is recorded; the recording is kept only where the session failed.
    OnFailure,
    /// Every session is recorded, and the recording is kept.
    Always,
}

/// A profile to start from.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
pub struct ContextRef {
    /// The BrowserContext's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Whether what the session changes is written back.
    #[serde(default)]
    pub persist: bool,
}

/// What the operator has seen. Only the controller writes it.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(oldSelf.sessionId) || has(self.sessionId)").message("sessionId is kept once it is set"),
    validation = Rule::new("!has(oldSelf.podName) || has(self.podName)").message("podName is kept once it is set"),
    validation = Rule::new("!has(oldSelf.podIP) || has(self.podIP)").message("podIP is kept once it is set"),
)]
pub struct BrowserSessionStatus {
    /// A summary for people; programs read `conditions`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,

    /// WebDriver's session id, a UUID. Whoever has it may drive the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 36))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("sessionId cannot change"))]
    pub session_id: Option<String>,

    /// Where to speak WebDriver BiDi with this session. Absent unless the capability webSocketUrl was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub web_socket_url: Option<String>,

    /// Where to speak WebDriver Classic with this session. Absent for a session that was made over BiDi alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub web_driver_url: Option<String>,

    /// Where to speak the Chrome DevTools Protocol with this session. The URL is a credential: whoever has it may drive the
    /// session until `status.expiresAt`. Absent where the browser has no CDP, as Firefox, and for a session that was made
    /// over BiDi alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub cdp_url: Option<String>,

    /// The class that the browser was taken from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub class_name: Option<String>,

    /// The region that it runs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub region: Option<String>,

    /// The class's providers that are to give what `spec.features` asks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 253)))]
    pub providers: Vec<String>,

    /// Whose sandbox confines the page: the browser's own, or only the container's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<crate::Sandbox>,

    /// The browser's pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("podName cannot change"))]
    pub pod_name: Option<String>,

    /// The pod's address.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "podIP")]
    #[schemars(length(max = 45))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("podIP cannot change"))]
    pub pod_ip: Option<String>,

    /// The node that the pod is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub node_name: Option<String>,

    /// The Service that names the pod: the namespace's headless one, or the session's own with `spec.expose`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub service_name: Option<String>,

    /// The DNS name of the browser in the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub address: Option<String>,

    /// The capabilities of the browser that was matched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "free_object")]
    pub capabilities: Option<CapabilitySet>,

    /// How many are served before this one and with it, while it waits for its turn: 1 is the next. Written when the wait
    /// begins, and again when it has halved or doubled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_position: Option<i32>,

    /// When the session became Ready for the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,

    /// When its hard limit is reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,

    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Time>,

    /// `Ready` says whether the browser can be driven; `Stalled` that it never will be (again).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,

    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// A session's life in one word, for people.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Hash, Serialize)]
pub enum Phase {
    /// It waits for its turn.
    Pending,
    /// Its pod is being started.
    Starting,
    /// It can be driven.
    Ready,
    /// Its browser has ended and its client has been told; what outlives it (a recording, a log, a context) is still being
    /// stored. Not used in this version, where nothing outlives a browser.
    Ending,
    /// It ended because somebody wanted it to.
    Completed,
    /// It ended because a limit was reached.
    TimedOut,
    /// It ended, or never began, because of a fault.
    Failed,
}

impl Phase {
    /// Whether nothing comes after it.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::TimedOut | Self::Failed)
    }
}

impl BrowserSession {
    /// Whether the session has ended for good.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.status.as_ref().and_then(|status| status.phase).is_some_and(Phase::is_terminal)
    }

    /// The condition `Ready`, if there is one yet.
    #[must_use]
    pub fn ready_condition(&self) -> Option<&Condition> {
        self.status.as_ref()?.conditions.iter().find(|c| c.type_ == conditions::READY)
    }

    /// Which protocol asked for the session.
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
        self.ready_condition().is_some_and(|c| c.status == "True")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
            (json!({"proxy": {"rules": [{"type": "direct"}]}}), "spec.proxy"),
            (json!({"blockAds": true}), "spec.blockAds"),
            (json!({"record": true}), "spec.record: true"),
            (json!({"recording": {"mode": "onFailure"}}), "spec.recording.mode"),
            (json!({"recording": {"mode": "always"}}), "spec.recording.mode"),
            (json!({"log": true}), "spec.log"),
            (json!({"extensions": ["e"]}), "spec.extensions"),
            (json!({"allowedDomains": ["a.example"]}), "spec.allowedDomains"),
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
        ] {
            let verdict = session(json!({"startUrl": url})).validate_cel();
            assert_eq!(verdict.is_ok(), allowed, "{url}");
        }
    }

    #[test]
    fn the_spec_cannot_change() {
        let (old, new) = (session(json!({})), session(json!({"timeoutSeconds": 7})));
        assert!(old.validate_cel_update(&old).is_ok());
        assert!(new.validate_cel_update(&old).is_err());
    }
}
