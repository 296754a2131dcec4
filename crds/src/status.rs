//! The status of a `BrowserSession`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    capabilities::{CapabilitySet, free_object},
    class::Sandbox,
    conditions,
};

/// What the controller observed. Only the controller writes it.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("default" = conditions::unseen()))]
#[x_kube(
    validation = Rule::new("!has(oldSelf.sessionId) || has(self.sessionId)").message("sessionId is kept once it is set"),
    validation = Rule::new("!has(oldSelf.podName) || has(self.podName)").message("podName is kept once it is set"),
    validation = Rule::new("!has(oldSelf.podIP) || has(self.podIP)").message("podIP is kept once it is set"),
)]
pub struct BrowserSessionStatus {
    /// A summary for people; programs should read `conditions`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,

    /// WebDriver's session id, a UUID. It is a credential: whoever has it may drive the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 36))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("sessionId cannot change"))]
    pub session_id: Option<String>,

    /// The URL for WebDriver BiDi. Absent unless the capability webSocketUrl was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub web_socket_url: Option<String>,

    /// The URL for WebDriver Classic. Absent for a session that was created over BiDi alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub web_driver_url: Option<String>,

    /// The URL for the Chrome DevTools Protocol. It is a credential until `status.expiresAt`: whoever has it may drive the
    /// session. Absent for Firefox, which has no CDP, and for a session that was created over BiDi alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub cdp_url: Option<String>,

    /// The browser's class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub class_name: Option<String>,

    /// The browser's region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub region: Option<String>,

    /// The providers of what `spec.features` asks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 253)))]
    pub providers: Vec<String>,

    /// Which sandbox confines a page: the browser's own, or the container alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<Sandbox>,

    /// The name of the browser's pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("podName cannot change"))]
    pub pod_name: Option<String>,

    /// The pod's address.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "podIP")]
    #[schemars(length(max = 45))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("podIP cannot change"))]
    pub pod_ip: Option<String>,

    /// The name of the pod's node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub node_name: Option<String>,

    /// The Service that gives the pod its DNS name: the headless one of the namespace, or with `spec.expose` the session's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub service_name: Option<String>,

    /// The browser's DNS name in the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub address: Option<String>,

    /// The capabilities of the browser, as New Session returned them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "free_object")]
    pub capabilities: Option<CapabilitySet>,

    /// The position in the queue of a full class; 1 is the next. Written when the wait begins, and again whenever the position
    /// has halved or doubled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_position: Option<i32>,

    /// Which routes the browser has, once `spec.proxy` has changed. Absent: those that it was made with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<ProxyStatus>,

    /// When the session became Ready for the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,

    /// When `spec.timeoutSeconds` ends the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,

    /// When the session ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Time>,

    /// `Ready`: whether the browser can be driven. `Stalled`: the session has failed. `Finished`: it has ended; after a good
    /// end there is neither of the others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,

    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// Which routes a browser has.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProxyStatus {
    /// The generation of the object whose `spec.proxy` is in force.
    pub generation: i64,

    /// A later generation whose `spec.proxy` cannot be had; that of `generation` stays in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_generation: Option<i64>,

    /// Why it cannot be had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub message: Option<String>,
}

/// A summary of a session's state, for people.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Hash, Serialize)]
pub enum Phase {
    /// It waits in the queue.
    Pending,
    /// Its pod starts.
    Starting,
    /// Its browser can be driven.
    Ready,
    /// Its client has been told of the end, and its artifacts (recording, log, context) are being saved. No session of this
    /// version has artifacts, so none gets this phase yet.
    Ending,
    /// It ended on request.
    Completed,
    /// It ended at a time limit.
    TimedOut,
    /// It ended, or never started, because of a fault.
    Failed,
}

impl Phase {
    /// Whether no other phase follows.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::TimedOut | Self::Failed)
    }
}
