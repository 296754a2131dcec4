//! What a browser pod says about its session. Pure.

mod observe;

use agent_api::PodRef;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

pub use observe::{Observed, Problem, live_address, observe, observe_gone};

/// The container with the browser.
pub const BROWSER_CONTAINER: &str = "browser";

pub fn pod_ref(pod: &Pod) -> PodRef {
    PodRef::new(pod.namespace().unwrap_or_default(), pod.name_any())
}
