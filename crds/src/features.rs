//! `spec.features`: what a session asks of its class's providers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::class::Feature;

/// Features of providers.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Features {
    /// Solve the captchas that pages show.
    #[serde(default)]
    pub solve_captchas: bool,
    /// The CSS selector of the captcha's image. Absent: the provider finds it. Implies solveCaptchas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub captcha_image_selector: Option<String>,
    /// The CSS selector of the field for the captcha's solution. Absent: the provider finds it. Implies solveCaptchas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub captcha_input_selector: Option<String>,
    /// Hide from pages that a program drives the browser.
    #[serde(default)]
    pub advanced_stealth: bool,
    /// Be known as trustworthy to services that verify browsers.
    #[serde(default)]
    pub verified: bool,
}

impl Features {
    /// The features that are asked for, each with the path of the field that asks.
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
