//! What the shared code needs to know of Browser Use.

use super::headers;
use crate::{front::hosted::api::HostedApi, metrics::Front};

pub const API: HostedApi = HostedApi {
    key_header: headers::API_KEY,
    front: Front::BrowserUse,
    body_paths: &[
        // What else it says has been checked before.
        ("spec.proxy", &["proxyCountryCode"]),
        ("spec.features.solveCaptchas", &["solveCaptchas"]),
    ],
};
