//! The status of a `BrowserClass`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::conditions;

/// What the controller observed of a class and its pods. Only the controller writes it.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("default" = conditions::unseen()))]
pub struct BrowserClassStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// `Ready`: `True` where every version that was tried starts and is what the class says, `False` where one does not,
    /// `Unknown` before one was tried.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,

    /// What is known of each of `spec.versions`, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub versions: Vec<VersionStatus>,

    /// How many sessions have a browser of this class, or are about to.
    #[serde(default)]
    pub live: i32,

    /// How many sessions wait for a place in this class.
    #[serde(default)]
    pub waiting: i32,

    /// `spec.capacity`. Absent: the class sets no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<i32>,
}

/// What is known of one of a class's versions.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionStatus {
    /// As the class says; empty where it leaves it to the image.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub version: String,
    /// As the class says.
    #[schemars(length(max = 512))]
    pub image: String,
    /// What the image's agent said that runs there. Absent: no browser of this image has run yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<FoundBrowser>,
    /// Whether the browser that was tried last started, and is what the class says.
    pub ready: Readiness,
    /// Why it is not ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<VersionProblem>,
    /// A hash of what the class makes pods of for this version. Pods carry it in the annotation
    /// `browser-operator.io/class-revision`: those with another one were made before the class changed, and stay as they are.
    #[schemars(length(max = 64))]
    pub revision: String,
    /// The class's generation since which pods of this version are made so.
    pub since_generation: i64,
}

/// Whether a version's browsers start.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
pub enum Readiness {
    /// They do.
    True,
    /// They do not, or are not what the class says.
    False,
    /// None was tried since the class makes its pods so.
    Unknown,
}

/// A browser, as its driver says what it is.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FoundBrowser {
    /// The capability browserName.
    #[schemars(length(max = 64))]
    pub browser_name: String,
    /// The capability browserVersion.
    #[schemars(length(max = 64))]
    pub browser_version: String,
}

/// Why a version is not ready.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
pub struct VersionProblem {
    /// One of the documented reasons.
    #[schemars(length(max = 64))]
    pub reason: String,
    /// The explanation for people.
    #[schemars(length(max = 2048))]
    pub message: String,
}
