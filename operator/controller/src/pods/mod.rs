//! What a browser pod says about its session. Pure.

mod observe;
mod problem;
mod start;

use agent_api::PodRef;
use crds::BrowserSession;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

pub use observe::{Observed, live_address, observe, observe_gone};
pub use problem::Problem;
pub use start::{Start, StartLimits, start};

/// The container with the browser.
pub const BROWSER_CONTAINER: &str = "browser";
/// The agent's program in the class's image.
pub const AGENT: &str = "/usr/bin/browser-operator";

/// The pod in a session's status.
pub fn assigned_pod(session: &BrowserSession) -> Option<PodRef> {
    let name = session.status.as_ref()?.pod_name.as_ref()?;
    Some(PodRef::new(session.namespace()?, name))
}

pub fn pod_ref(pod: &Pod) -> PodRef {
    PodRef::new(pod.namespace().unwrap_or_default(), pod.name_any())
}
