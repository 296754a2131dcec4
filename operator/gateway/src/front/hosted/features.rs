//! `spec.features`: what providers do for a session. Whether a class has such a provider is found when the session is created.

use crds::Features;
use serde_json::{Value, json};

use super::{
    field_types::{boolean, nullable, text},
    fields::{Field, FieldType, Fields, absent_as},
};

/// Characters of a CSS selector.
const MAX_SELECTOR: usize = 1024;

/// Reads `solveCaptchas` and its two selectors, `advancedStealth` and `verified`.
pub fn read(fields: &mut Fields) -> Option<Features> {
    let solve_captchas = solve_captchas(fields);
    let mut selector = |name| {
        let selector = fields.optional(
            name,
            nullable(ByProvider(Selector)),
            "Asks for solveCaptchas, too.",
        )?;
        if solve_captchas == Some(false) {
            fields.fault(name, "value_error", "is of no use with solveCaptchas: false");
        }
        Some(selector)
    };
    let captcha_image_selector = selector("captchaImageSelector");
    let captcha_input_selector = selector("captchaInputSelector");
    let mut is_asked = |name| fields.optional(name, provided_switch(), "") == Some(true);
    let features = Features {
        solve_captchas: solve_captchas == Some(true),
        captcha_image_selector,
        captcha_input_selector,
        advanced_stealth: is_asked("advancedStealth"),
        verified: is_asked("verified"),
    };
    (features != Features::default()).then_some(features)
}

/// Reads `solveCaptchas`. At the services absent is as true.
pub fn solve_captchas(fields: &mut Fields) -> Option<bool> {
    fields.optional("solveCaptchas", provided_switch(), "Absent is as false here.")
}

fn provided_switch() -> impl FieldType<Output = bool> {
    nullable(absent_as(ByProvider(boolean()), false))
}

/// A field that asks for a provider's work.
struct ByProvider<T>(T);

impl<T: FieldType> FieldType for ByProvider<T> {
    type Output = T::Output;

    fn read(&self, value: Value, field: &mut Field<'_>) -> Option<T::Output> {
        self.0.read(value, field)
    }

    fn schema(&self) -> Value {
        let mut schema = self.0.schema();
        schema["description"] =
            "A provider's work: refused unless a class names one that does it.".into();
        schema
    }
}

/// A CSS selector.
struct Selector;

impl FieldType for Selector {
    type Output = String;

    fn read(&self, value: Value, field: &mut Field<'_>) -> Option<String> {
        let selector = text(MAX_SELECTOR).read(value, field)?;
        if selector.is_empty() {
            field.fault("string_too_short", "must be a CSS selector");
            return None;
        }
        Some(selector)
    }

    fn schema(&self) -> Value {
        json!({"type": "string", "minLength": 1, "maxLength": MAX_SELECTOR})
    }
}
