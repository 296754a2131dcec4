//! What a class's providers do: `spec.features`.

use crds::Features;

use super::fields::Fields;

/// The longest CSS selector.
const MAX_SELECTOR: usize = 1024;

/// Reads the fields that there are of `solveCaptchas`, the selectors of captchas, `advancedStealth` and `verified`. Whether
/// anybody here does it is the classes' to say.
pub fn read(fields: &mut Fields) -> Option<Features> {
    for name in [
        "solveCaptchas",
        "captchaImageSelector",
        "captchaInputSelector",
        "advancedStealth",
        "verified",
    ] {
        fields.null_is_absent(name);
    }
    let solve = fields.boolean("solveCaptchas");
    let mut selector = |name: &str| {
        let selector = fields.text(name, MAX_SELECTOR)?;
        if selector.is_empty() {
            fields.fault(name, "string_too_short", "must be a CSS selector");
        } else if solve == Some(false) {
            fields.fault(name, "value_error", "is of no use with solveCaptchas: false");
        }
        Some(selector)
    };
    let captcha_image_selector = selector("captchaImageSelector");
    let captcha_input_selector = selector("captchaInputSelector");
    let features = Features {
        solve_captchas: solve == Some(true),
        captcha_image_selector,
        captcha_input_selector,
        advanced_stealth: fields.boolean("advancedStealth") == Some(true),
        verified: fields.boolean("verified") == Some(true),
    };
    (features != Features::default()).then_some(features)
}
