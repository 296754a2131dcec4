//! `spec.expose`: a Service through which clients reach one browser without the gateway.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A Service for one session alone.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
pub struct Expose {
    /// As `spec.type` of a Service.
    #[serde(default, rename = "type")]
    pub type_: ExposeType,
}

/// The type of a Service.
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
    /// The value of a Service's `spec.type`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClusterIP => "ClusterIP",
            Self::NodePort => "NodePort",
            Self::LoadBalancer => "LoadBalancer",
        }
    }
}
