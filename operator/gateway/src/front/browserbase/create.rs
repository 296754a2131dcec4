//! `POST /v1/sessions`.

use crds::{BrowserSessionSpec, OperatingSystem, session::Viewport};
use serde_json::{Value, json};

use super::{api::API, view};
use crate::{
    front::hosted::{
        authorize::authorize,
        create::{base_spec, create},
        features,
        fields::Fields,
        problem::Problem,
        request::Request,
        unsupported,
    },
    state::Gateway,
};

/// How long a session may live, in seconds.
const TIMEOUT: (i32, i32) = (60, 21_600);

pub async fn create_session(gateway: &Gateway, request: &Request) -> Result<Value, Problem> {
    let caller = authorize(gateway, request, &API, "create").await?;
    let spec = read(&request.body().await?, &caller.namespace)?;
    let state = json!({"api": "browserbase"});
    let (record, abandon) = create(gateway, &caller, &API, spec, state).await?;
    abandon.disarm();
    Ok(view::session_with_urls(gateway, request, &record))
}

/// Reads it. Every field of the service's own document is named here or in `unsupported`.
fn read(body: &[u8], namespace: &str) -> Result<BrowserSessionSpec, Problem> {
    let mut fields = Fields::of_body(body, false)?;
    let mut spec = base_spec(fields.integer("timeout", TIMEOUT.0, TIMEOUT.1));
    project(&mut fields, namespace);
    unsupported::extension(&mut fields, "extensionId");
    fields.nested("browserSettings", |settings| browser_settings(settings, &mut spec));
    // Without it a session ends with its last connection.
    spec.keep_alive = Some(fields.boolean("keepAlive").unwrap_or(false));
    unsupported::proxy(&mut fields, "proxies");
    unsupported::proxy(&mut fields, "proxySettings");
    spec.region = fields.text("region", 63);
    spec.user_metadata = fields.object("userMetadata");
    fields.done()?;
    Ok(spec)
}

fn browser_settings(settings: &mut Fields, spec: &mut BrowserSessionSpec) {
    unsupported::context(settings, "context");
    unsupported::extension(settings, "extensionId");
    spec.viewport = settings.nested("viewport", viewport).flatten();
    unsupported::block_ads(settings, "blockAds");
    unsupported::record(settings, "recordSession");
    unsupported::log(settings, "logSession");
    unsupported::allowed_domains(settings, "allowedDomains");
    spec.features = features::read(settings);
    let word = settings.word("os", &OperatingSystem::ALL.map(OperatingSystem::as_str));
    spec.os = OperatingSystem::ALL.into_iter().find(|os| Some(os.as_str()) == word);
    spec.ignore_certificate_errors = settings.boolean("ignoreCertificateErrors").unwrap_or(false);
}

fn viewport(fields: &mut Fields) -> Option<Viewport> {
    for name in ["width", "height"] {
        if !fields.has(name) {
            fields.missing(name);
        }
    }
    let (width, height) = (fields.integer("width", 320, 7680), fields.integer("height", 240, 4320));
    Some(Viewport { width: width?, height: height? })
}

/// A project is a namespace, and a key has one.
pub fn project(fields: &mut Fields, namespace: &str) {
    if fields.text("projectId", 253).is_some_and(|project| project != namespace) {
        fields.fault("projectId", "value_error", format!("this key's project is {namespace}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(body: &Value) -> Result<BrowserSessionSpec, String> {
        read(body.to_string().as_bytes(), "team-a").map_err(|problem| problem.message())
    }

    #[test]
    fn an_empty_body_is_a_session_of_chrome_that_ends_with_its_connection() {
        let spec = read(b"", "team-a").unwrap();
        assert_eq!(spec.capabilities.to_json(), json!({"alwaysMatch": {"browserName": "chrome"}}));
        assert_eq!((spec.timeout_seconds, spec.idle_timeout_seconds), (1800, 0));
        assert_eq!((spec.keep_alive, spec.connect_timeout_seconds), (Some(false), 300));
        assert_eq!(spec.ttl_seconds_after_finished, Some(3600));
    }

    #[test]
    fn fields_are_fields_of_the_object() {
        let spec = of(&json!({
            "projectId": "team-a", "timeout": 60, "keepAlive": true, "region": "eu",
            "proxies": false, "userMetadata": {"stagehand": "true"},
            "browserSettings": {
                "viewport": {"width": 1288, "height": 711}, "blockAds": false, "os": "linux",
                "recordSession": false, "logSession": false, "solveCaptchas": false,
                "advancedStealth": false, "verified": false, "ignoreCertificateErrors": true,
                "allowedDomains": [],
            },
        }))
        .unwrap();
        assert_eq!(spec.viewport, Some(Viewport { width: 1288, height: 711 }));
        assert_eq!((spec.timeout_seconds, spec.keep_alive), (60, Some(true)));
        assert_eq!(spec.region.as_deref(), Some("eu"));
        assert!(spec.ignore_certificate_errors);
        assert_eq!(spec.user_metadata.unwrap()["stagehand"], "true");
    }

    #[test]
    fn what_providers_do_is_asked_of_the_class() {
        let of = |settings| of(&json!({"browserSettings": settings})).unwrap();
        let asked = of(json!({
            "os": "mobile", "captchaImageSelector": "#image", "advancedStealth": true,
        }));
        assert_eq!(asked.os, Some(OperatingSystem::Mobile));
        let features = asked.features.unwrap();
        assert!(features.advanced_stealth && !features.verified && !features.solve_captchas);
        assert_eq!(features.captcha_image_selector.as_deref(), Some("#image"));
        let nothing = of(json!({"solveCaptchas": false, "advancedStealth": false}));
        assert_eq!((nothing.features, nothing.os), (None, None));
    }

    #[test]
    fn what_cannot_be_had_is_named() {
        for (body, field) in [
            (json!({"projectId": "team-b"}), "projectId"),
            (json!({"projectId": 7}), "projectId"),
            (json!({"extensionId": "e"}), "extensionId"),
            (json!({"timeout": 59}), "timeout"),
            (json!({"timeout": 21_601}), "timeout"),
            (json!({"timeout": "60"}), "timeout"),
            (json!({"keepAlive": "yes"}), "keepAlive"),
            (json!({"keepAlive": null}), "keepAlive"),
            (json!({"proxies": true}), "proxies"),
            (json!({"proxies": [{"type": "external", "server": "http://p"}]}), "proxies"),
            (json!({"region": 1}), "region"),
            (json!({"userMetadata": []}), "userMetadata"),
            (json!({"colour": "blue"}), "colour"),
            (json!({"browserSettings": []}), "browserSettings"),
            (json!({"browserSettings": {"context": {"id": "c"}}}), "browserSettings.context"),
            (json!({"browserSettings": {"extensionId": "e"}}), "browserSettings.extensionId"),
            (
                json!({"browserSettings": {"viewport": {"width": 1}}}),
                "browserSettings.viewport.height",
            ),
            (
                json!({"browserSettings": {"viewport": {"width": 1, "height": 700}}}),
                "browserSettings.viewport.width",
            ),
            (json!({"browserSettings": {"blockAds": true}}), "browserSettings.blockAds"),
            (json!({"browserSettings": {"solveCaptchas": "yes"}}), "browserSettings.solveCaptchas"),
            (json!({"browserSettings": {"recordSession": true}}), "browserSettings.recordSession"),
            (json!({"browserSettings": {"logSession": true}}), "browserSettings.logSession"),
            (json!({"browserSettings": {"advancedStealth": 1}}), "browserSettings.advancedStealth"),
            (json!({"browserSettings": {"verified": "no"}}), "browserSettings.verified"),
            (
                json!({"browserSettings": {"captchaImageSelector": ""}}),
                "browserSettings.captchaImageSelector",
            ),
            (
                json!({"browserSettings": {"captchaInputSelector": "#a", "solveCaptchas": false}}),
                "browserSettings.captchaInputSelector",
            ),
            (json!({"browserSettings": {"os": "beos"}}), "browserSettings.os"),
            (
                json!({"browserSettings": {"allowedDomains": ["a"]}}),
                "browserSettings.allowedDomains",
            ),
            (
                json!({"browserSettings": {"ignoreCertificateErrors": 1}}),
                "browserSettings.ignoreCertificateErrors",
            ),
        ] {
            let message = of(&body).expect_err(&body.to_string());
            assert!(message.contains(&format!("{field}: ")), "{body}: {message}");
        }
    }
}
