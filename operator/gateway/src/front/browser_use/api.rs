//! What the shared code needs to know of Browser Use.

use net::forward::BROWSER_USE_KEY;

use crate::{front::hosted::api::HostedApi, metrics::Front};

pub const API: HostedApi = HostedApi {
    key_header: BROWSER_USE_KEY,
    front: Front::BrowserUse,
    body_paths: &[("spec.features.solveCaptchas", &["solveCaptchas"])],
};
