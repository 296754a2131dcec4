//! `BrowserClass`: which browsers this cluster offers.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{Affinity, LocalObjectReference, Toleration},
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use kube::{CustomResource, KubeSchema, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    ClassEgress,
    capabilities::{CapabilitySet, Quantity, free_object},
    class_status::{BrowserClassStatus, FoundBrowser, VersionStatus},
    expose::ExposeType,
    names,
    schema::WORD,
};

/// A kind of browser that sessions can ask for: its image and versions, where it may run, and what it may use.
#[derive(CustomResource, KubeSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[kube(
    group = "browser-operator.io",
    version = "v1alpha1",
    kind = "BrowserClass",
    plural = "browserclasses",
    doc = "A kind of browser that sessions can ask for. The annotation browser-operator.io/is-default-class: \"true\" makes it the default class.",
    derive = "PartialEq",
    status = "BrowserClassStatus",
    shortname = "bc",
    category = "browsers",
    printcolumn(name = "Browser", type_ = "string", json_path = ".spec.browserName"),
    printcolumn(name = "Version", type_ = "string", json_path = ".spec.versions[0].version"),
    printcolumn(
        name = "Found",
        type_ = "string",
        json_path = ".status.versions[0].found.browserVersion"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#
    ),
    printcolumn(name = "Live", type_ = "integer", json_path = ".status.live"),
    printcolumn(name = "Waiting", type_ = "integer", json_path = ".status.waiting"),
    printcolumn(name = "Capacity", type_ = "integer", json_path = ".spec.capacity"),
    printcolumn(
        name = "Default",
        type_ = "string",
        json_path = ".metadata.annotations.browser-operator\\.io/is-default-class"
    ),
    printcolumn(name = "Sandbox", type_ = "string", json_path = ".spec.sandbox", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[cfg_attr(test, kube(cel))]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.defaultRegion) || (has(self.regions) && self.regions.exists(r, r.name == self.defaultRegion))").message("defaultRegion must be the name of one of regions"),
    validation = Rule::new("!has(self.driver) || (self.browserName == 'firefox') == (self.driver == 'geckodriver')").message("driver must be the browser's own: chromedriver for chrome, geckodriver for firefox"),
)]
pub struct BrowserClassSpec {
    /// The controller that acts on this class, as an IngressClass names its own. Two releases in one cluster need two names.
    #[serde(default = "default_controller_name")]
    #[schemars(
        length(min = 3, max = 253),
        regex(
            pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9]([-A-Za-z0-9._/]*[A-Za-z0-9])?$"
        )
    )]
    #[x_kube(validation = Rule::new("self == oldSelf").message("controllerName cannot change: create another BrowserClass"))]
    pub controller_name: String,

    /// WebDriver's name of the browser: `chrome` for Chromium too.
    pub browser_name: BrowserName,

    /// WebDriver's name of the operating system.
    #[serde(default = "linux")]
    #[schemars(length(min = 1, max = 32), regex(pattern = "^[a-z0-9]+$"))]
    pub platform_name: String,

    /// The WebDriver server that the image contains and the agent starts. Absent: chromedriver for chrome, geckodriver for
    /// firefox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<Driver>,

    /// The versions on offer; the first is the default.
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["version".into()]))]
    pub versions: Vec<BrowserVersion>,

    /// How capabilities are matched. `exact`: as WebDriver says. `lenient`: as Selenium's Grid does, see docs/classes.md.
    #[serde(default)]
    pub matching: Matching,

    /// What becomes of options in `goog:chromeOptions` and `moz:firefoxOptions` that cannot be allowed but whose loss harms
    /// nobody. `lenient`: they are dropped, and the reply names them. `strict`: they are refused.
    #[serde(default)]
    pub vendor_options: VendorOptions,

    /// Run the browser with a window on a virtual display instead of headless. Refused in this version.
    #[serde(default)]
    pub headed: bool,

    /// When the kubelet pulls the image. Absent: Kubernetes' own default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_pull_policy: Option<PullPolicy>,

    /// Secrets to pull the image with. Each session's namespace must have them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub image_pull_secrets: Vec<LocalObjectReference>,

    /// Which sandbox confines a page. `browser`: the browser's own, which needs the profile of `seccompProfile` on every node.
    /// `container`: the container alone, under the runtime's default profile.
    #[serde(default)]
    pub sandbox: Sandbox,

    /// The seccomp profile for `sandbox: browser`: a path relative to the kubelet's seccomp directory.
    #[serde(default = "default_seccomp_profile")]
    #[schemars(length(min = 1, max = 253), regex(pattern = WORD))]
    #[x_kube(validation = Rule::new("!self.startsWith('/') && !self.contains('..')").message("seccompProfile must be a path below the kubelet's seccomp folder"))]
    pub seccomp_profile: String,

    /// What of the cluster pages may reach. `none`: nothing. `namespace`: the Services of the session's own namespace, by their
    /// names. `all`: every address of it. What no page may reach, such as the browser's own pod, stays denied.
    #[serde(default)]
    pub cluster_access: ClusterAccess,

    /// Which hosts and networks pages reach beside that. Absent: every one that is not closed to all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub egress: Option<ClassEgress>,

    /// The resource requests and limits of a browser's container.
    #[serde(default)]
    pub resources: Resources,

    /// The size of /dev/shm. It counts towards the container's memory.
    #[serde(default = "default_shared_memory")]
    pub shared_memory: Quantity,

    /// How much a browser may write to disk: profile, cache and downloads together.
    #[serde(default = "default_scratch")]
    pub scratch: Quantity,

    /// Where browsers of this class can run. Empty: on any node, and a session that asks for a region is refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub regions: Vec<Region>,

    /// The region of a session that asks for none. Absent: the first of `regions`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub default_region: Option<String>,

    /// The operating systems that a session may have its browser report (`spec.os`), besides the one it runs on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub operating_systems: Vec<OperatingSystem>,

    /// Who provides the features of `spec.features`, which no browser has by itself. A feature without a provider is refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub providers: Vec<Provider>,

    /// How many sessions of this class may run at a time; further ones wait in a queue. Absent: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub capacity: Option<i32>,

    /// How many seconds a browser may take to start, counted from the creation of its pod.
    #[serde(default = "default_start_timeout")]
    #[schemars(range(min = 1, max = 3600))]
    pub start_timeout_seconds: i32,

    /// How many seconds a pod may wait for a node and for its image, before `startTimeoutSeconds` begins to count.
    #[serde(default = "default_schedule_timeout")]
    #[schemars(range(min = 1, max = 86_400))]
    pub schedule_timeout_seconds: i32,

    /// What the pods of this class have beside what the operator gives them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_template: Option<PodTemplate>,

    /// The types of Service that `spec.expose` of a session may ask for. Empty: none.
    #[serde(default = "default_expose_types")]
    #[schemars(length(max = 3))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub expose_types: Vec<ExposeType>,

    /// The most that a session of this class may ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceilings: Option<Ceilings>,

    /// The namespaces whose sessions may use this class. Absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_namespaces: Option<LabelSelector>,
}

fn default_controller_name() -> String {
    names::CONTROLLER_NAME.to_owned()
}
fn default_schedule_timeout() -> i32 {
    600
}
fn default_expose_types() -> Vec<ExposeType> {
    vec![ExposeType::ClusterIP]
}

fn linux() -> String {
    "linux".to_owned()
}
fn default_seccomp_profile() -> String {
    "browser-operator/browser.json".to_owned()
}
fn quantity(text: &str) -> Quantity {
    Quantity(text.to_owned())
}
fn default_shared_memory() -> Quantity {
    quantity("1Gi")
}
fn default_scratch() -> Quantity {
    quantity("2Gi")
}
fn default_start_timeout() -> i32 {
    60
}

/// The browsers that the operator can drive.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BrowserName {
    /// Chrome and Chromium.
    Chrome,
    /// Firefox.
    Firefox,
}

impl BrowserName {
    /// The value of the capability browserName.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chrome => "chrome",
            Self::Firefox => "firefox",
        }
    }
}

/// The WebDriver server in the image.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Driver {
    /// ChromeDriver.
    Chromedriver,
    /// geckodriver.
    Geckodriver,
}

/// How a class matches capabilities.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Matching {
    /// Every value as WebDriver says; only `platformName: any` means any.
    #[default]
    Exact,
    /// Names in any case, families of platforms, channels as versions, and the empty string for any.
    Lenient,
}

/// What of the cluster pages may reach.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, PartialOrd, Ord, Serialize,
)]
#[serde(rename_all = "lowercase")]
pub enum ClusterAccess {
    /// Nothing.
    None,
    /// The Services of the session's own namespace, by their names.
    #[default]
    Namespace,
    /// Every address of it.
    All,
}

impl ClusterAccess {
    /// The word in a spec and in a label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Namespace => "namespace",
            Self::All => "all",
        }
    }
}

/// What becomes of vendor options that cannot be allowed, but are not needed either.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum VendorOptions {
    /// They are dropped.
    #[default]
    Lenient,
    /// They are refused.
    Strict,
}

/// What the pods of a class have beside what the operator gives them.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct PodTemplate {
    /// Further labels and annotations; the operator's own cannot be replaced.
    #[serde(default)]
    pub metadata: PodTemplateMetadata,
    /// The keys of labels that a pod takes over from its session. A namespace's Services and policies select pods by labels,
    /// so none is taken over that is not named here.
    #[serde(default, rename = "sessionLabels", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 317), regex(pattern = WORD)))]
    pub session_labels: Vec<String>,
    /// Fields of a pod's spec, merged into the operator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "free_object")]
    pub spec: Option<CapabilitySet>,
}

/// Labels and annotations of a class's pods.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
pub struct PodTemplateMetadata {
    /// As on any object.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(length(max = 64))]
    pub labels: BTreeMap<String, String>,
    /// As on any object.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(length(max = 64))]
    pub annotations: BTreeMap<String, String>,
}

/// The most that a session of a class may ask for; what is absent has no ceiling.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.defaultTimeoutSeconds) || !has(self.timeoutSeconds) || self.defaultTimeoutSeconds <= self.timeoutSeconds").message("defaultTimeoutSeconds must not be above timeoutSeconds"),
)]
pub struct Ceilings {
    /// The highest `spec.timeoutSeconds`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86_400))]
    pub timeout_seconds: Option<i32>,
    /// The `timeoutSeconds` of a session that names none. Absent: the API's own default, or the ceiling if that is lower.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86_400))]
    pub default_timeout_seconds: Option<i32>,
    /// The highest `spec.priority`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -1000, max = 1000))]
    pub priority: Option<i32>,
    /// How many sessions of this class one namespace may have at a time; further ones wait in the queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub sessions_per_namespace: Option<i32>,
}

/// One version of the browser.
#[derive(KubeSchema, Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct BrowserVersion {
    /// For example `156.0.8078.79`. The capability browserVersion is matched against it. Empty: what the image's agent says
    /// once a browser has run; until then only requests without a version match. One of a class may be empty.
    #[serde(default)]
    #[schemars(length(max = 64), regex(pattern = r"^([0-9]+(\.[0-9a-z]+)*)?$"))]
    pub version: String,
    /// An image with this version, its driver and the operator's agent.
    #[schemars(length(min = 1, max = 512), regex(pattern = WORD))]
    pub image: String,
    /// The release channels that this version is, for example `stable`, `latest` or `beta`: with `matching: lenient` a client
    /// may ask for one instead of a version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 8),
        inner(length(min = 1, max = 32), regex(pattern = "^[a-z]([-a-z0-9]*[a-z0-9])?$"))
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub channels: Vec<String>,
}

/// When the kubelet pulls an image.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
pub enum PullPolicy {
    /// For every pod.
    Always,
    /// If the node does not have it.
    IfNotPresent,
    /// Never: the node must have it.
    Never,
}

impl PullPolicy {
    /// The value of a container's `imagePullPolicy`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
        }
    }
}

/// Which sandbox confines a page.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Sandbox {
    /// The browser's own, inside the container's.
    #[default]
    Browser,
    /// The container's alone.
    Container,
}

/// The API server would refuse every pod.
fn no_more_than_limit(name: &str) -> String {
    let has = |map: &str| format!("has(self.{map}) && '{name}' in self.{map}");
    let value = |map: &str| format!("quantity(string(self.{map}['{name}']))");
    format!(
        "!({} && {}) || {}.compareTo({}) <= 0",
        has("requests"),
        has("limits"),
        value("requests"),
        value("limits")
    )
}

/// Resource requests and limits, as in a pod.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[x_kube(
    // A rule for each: over all names at once the API server finds it too costly.
    validation = Rule::new(no_more_than_limit("cpu")).message("requests.cpu must not be above limits.cpu"),
    validation = Rule::new(no_more_than_limit("memory")).message("requests.memory must not be above limits.memory"),
    validation = Rule::new(no_more_than_limit("ephemeral-storage")).message("requests.ephemeral-storage must not be above limits.ephemeral-storage"),
)]
pub struct Resources {
    /// What the scheduler reserves.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(length(max = 16))]
    pub requests: BTreeMap<String, Quantity>,
    /// What the container may use at most.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(length(max = 16))]
    pub limits: BTreeMap<String, Quantity>,
}

/// A place where browsers can run.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Region {
    /// The name that `spec.region` of a session gives.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// The labels that its nodes have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(length(max = 32))]
    pub node_selector: BTreeMap<String, String>,
    /// Further rules for its nodes, and rules for pods beside or apart from each other, as in a pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,
    /// The taints of its nodes that browser pods tolerate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub tolerations: Vec<Toleration>,
}

/// The operating system that a browser reports.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OperatingSystem {
    /// Linux on a desktop.
    Linux,
    /// Windows on a desktop.
    Windows,
    /// macOS.
    Mac,
    /// Android on a phone.
    Mobile,
    /// Android on a tablet.
    Tablet,
}

impl OperatingSystem {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Linux, Self::Windows, Self::Mac, Self::Mobile, Self::Tablet];

    /// The value in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Linux => "linux",
            Self::Windows => "windows",
            Self::Mac => "mac",
            Self::Mobile => "mobile",
            Self::Tablet => "tablet",
        }
    }
}

/// What no browser does by itself, but a provider may.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Feature {
    /// Solve the captchas that pages show.
    SolveCaptchas,
    /// Hide from pages that a program drives the browser.
    AdvancedStealth,
    /// Be known as trustworthy to services that verify browsers.
    Verified,
}

/// Who provides features: a program in the class's image, which reads the session's `spec.features` from the environment
/// variable BROWSER_OPERATOR_FEATURES, or a controller that you run, which watches the sessions that have its name in
/// `status.providers`.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
pub struct Provider {
    /// A DNS name that you own.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub name: String,
    /// What it provides.
    #[schemars(length(min = 1, max = 8))]
    pub features: Vec<Feature>,
}

impl BrowserClassSpec {
    /// The WebDriver server in its image.
    #[must_use]
    pub fn driver(&self) -> Driver {
        self.driver.unwrap_or(match self.browser_name {
            BrowserName::Chrome => Driver::Chromedriver,
            BrowserName::Firefox => Driver::Geckodriver,
        })
    }

    /// Who provides a feature.
    #[must_use]
    pub fn provider(&self, feature: Feature) -> Option<&Provider> {
        self.providers.iter().find(|provider| provider.features.contains(&feature))
    }
}

impl BrowserVersion {
    /// Which version the class says that it is, if it says so.
    #[must_use]
    pub fn declared(&self) -> Option<&str> {
        Some(self.version.as_str()).filter(|version| !version.is_empty())
    }
}

impl BrowserClass {
    /// What the image of a version was found to be, if a browser of it has run.
    #[must_use]
    pub fn found(&self, version: &BrowserVersion) -> Option<&FoundBrowser> {
        let known = &self.status.as_ref()?.versions;
        let of_image = |known: &&VersionStatus| known.image == version.image;
        known.iter().filter(of_image).find_map(|known| known.found.as_ref())
    }

    /// Whether it is annotated as the default class.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.annotations().get(names::DEFAULT_CLASS_ANNOTATION).is_some_and(|value| value == "true")
    }
}

#[cfg(test)]
mod tests;
