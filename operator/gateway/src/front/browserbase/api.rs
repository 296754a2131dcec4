//! What the shared code needs to know of Browserbase.

use super::headers;
use crate::{front::hosted::api::HostedApi, metrics::Front};

pub const API: HostedApi = HostedApi {
    key_header: headers::API_KEY,
    front: Front::Browserbase,
    body_paths: &[
        ("spec.proxy", &["proxies"]),
        ("spec.region", &["region"]),
        ("spec.userMetadata", &["userMetadata"]),
        ("spec.os", &["browserSettings", "os"]),
        ("spec.features.solveCaptchas", &["browserSettings", "solveCaptchas"]),
        ("spec.features.captchaImageSelector", &["browserSettings", "captchaImageSelector"]),
        ("spec.features.captchaInputSelector", &["browserSettings", "captchaInputSelector"]),
        ("spec.features.advancedStealth", &["browserSettings", "advancedStealth"]),
        ("spec.features.verified", &["browserSettings", "verified"]),
    ],
};
