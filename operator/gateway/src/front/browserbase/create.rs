//! `POST /v1/sessions`.

use crds::{BrowserClass, BrowserSessionSpec, Features, OperatingSystem, session::Viewport};
use placement::{Namespace, place};
use serde_json::{Map, Value, json};

use super::{
    allowed_domains::AllowedDomains,
    api::API,
    project_id,
    proxies::ProxiesField,
    view::{self, Session},
};
use crate::{
    front::hosted::{
        authorize::authorize,
        create::{Asked, DEFAULT_TIMEOUT_SECONDS, base_spec, create_and_wait},
        features,
        field_types::{boolean, free_object, integer, object, one_of, text},
        fields::{Body, Fields, Nulls},
        problem::Problem,
        proxies::Proxies,
        request::Request,
        unsupported::{self, Opaque},
    },
    services::UnknownProjects,
    state::Gateway,
};

/// The body. Of the service's own fields, those that this version does not have are read and not kept.
pub struct CreateSession {
    project_id: Option<String>,
    browser_settings: BrowserSettings,
    timeout_seconds: i32,
    keep_alive: bool,
    region: Option<String>,
    user_metadata: Option<Map<String, Value>>,
    proxies: Option<Proxies>,
}

#[derive(Default)]
struct BrowserSettings {
    viewport: Option<Viewport>,
    features: Option<Features>,
    os: Option<OperatingSystem>,
    ignore_certificate_errors: bool,
    /// As patterns.
    allowed_domains: Vec<String>,
}

impl Body for CreateSession {
    fn read(fields: &mut Fields) -> Self {
        let extension = json!({"type": "string"});
        fields.optional("extensionId", unsupported::extensions(extension), "");
        let settings = json!({"type": "object"});
        fields.optional("proxySettings", unsupported::certificates(settings), "");
        Self {
            project_id: project_id::read(fields),
            browser_settings: fields
                .optional("browserSettings", object::<BrowserSettings>(), "How the browser is.")
                .unwrap_or_default(),
            timeout_seconds: fields.with_default(
                "timeout",
                integer(60, 21_600),
                DEFAULT_TIMEOUT_SECONDS,
                "The hard limit of its life in seconds.",
            ),
            keep_alive: fields.with_default(
                "keepAlive",
                boolean(),
                false,
                "Whether it outlives its last connection.",
            ),
            region: fields.optional(
                "region",
                text(63),
                "A region of the class; another is refused with those that there are. Absent: the class's default.",
            ),
            user_metadata: fields.optional(
                "userMetadata",
                free_object(),
                "Free JSON of at most 16 KiB.",
            ),
            proxies: fields
                .optional(
                    "proxies",
                    ProxiesField,
                    "true: a proxy of the cluster's own; a list: the first entry that matches a request decides.",
                )
                .flatten(),
        }
    }
}

impl Body for BrowserSettings {
    fn read(fields: &mut Fields) -> Self {
        let context = json!({
            "type": "object",
            "properties": {"id": {"type": "string"}, "persist": {"type": "boolean"}},
            "required": ["id"],
        });
        fields.optional("context", unsupported::context(Opaque(context)), "A profile.");
        let extension = json!({"type": "string"});
        fields.optional("extensionId", unsupported::extensions(extension), "");
        fields.optional("blockAds", unsupported::switched_off(), "");
        fields.optional("recordSession", unsupported::switched_off(), ABSENT_IS_FALSE);
        fields.optional("logSession", unsupported::switched_off(), ABSENT_IS_FALSE);
        Self {
            allowed_domains: fields
                .optional("allowedDomains", AllowedDomains, "The only domains that the browser may connect to, each with those below it. Empty: every domain.")
                .unwrap_or_default(),
            viewport: fields.optional(
                "viewport",
                object::<Viewport>(),
                "The size of the page's viewport.",
            ),
            features: features::read(fields),
            os: fields.optional(
                "os",
                one_of(OperatingSystem::ALL.map(|os| (os.as_str(), os))),
                "What the browser says that it runs on: linux, or another that a class has; else it is refused.",
            ),
            ignore_certificate_errors: fields.with_default(
                "ignoreCertificateErrors",
                boolean(),
                false,
                "Accept certificates that nobody trusts.",
            ),
        }
    }
}

/// The sides of a viewport where only one is given.
const VIEWPORT: Viewport = Viewport { width: 1280, height: 720 };
const SMALLEST: &str = "a BrowserSession's viewport is from 320 by 240 to 7680 by 4320";
/// The service's own default is true.
const ABSENT_IS_FALSE: &str = "Absent is as false here.";

impl Body for Viewport {
    fn read(fields: &mut Fields) -> Self {
        let width = integer(320, 7680).because(SMALLEST);
        let height = integer(240, 4320).because(SMALLEST);
        Self {
            width: fields.with_default("width", width, VIEWPORT.width, "CSS pixels."),
            height: fields.with_default("height", height, VIEWPORT.height, "CSS pixels."),
        }
    }
}

impl CreateSession {
    fn into_asked(self) -> Asked {
        let BrowserSettings { viewport, features, os, ignore_certificate_errors, allowed_domains } =
            self.browser_settings;
        let spec = BrowserSessionSpec {
            keep_alive: Some(self.keep_alive),
            region: self.region,
            user_metadata: self.user_metadata,
            viewport,
            features,
            os,
            ignore_certificate_errors,
            allowed_domains: (!allowed_domains.is_empty()).then_some(allowed_domains),
            ..base_spec(self.timeout_seconds)
        };
        Asked::through(spec, self.proxies)
    }
}

pub async fn create_session(gateway: &Gateway, request: &Request) -> Result<Session, Problem> {
    let caller = authorize(gateway, request, &API, "create").await?;
    let unknown = gateway.services.unknown_projects;
    let mut asked = read(&request.body(gateway).await?, &caller.namespace, unknown)?;
    let mut state = json!({"api": "browserbase"});
    if let Some(region) = asked.spec.region.take() {
        state[view::REGION_STATE] = region.clone().into();
        asked.spec = with_region(
            asked.spec,
            gateway.services.region(region),
            &gateway.classes.all(),
            &caller.namespace,
        );
    }
    let (record, guard) = create_and_wait(gateway, &caller, &API, asked, state).await?;
    guard.disarm();
    Ok(view::session_with_urls(gateway, request, &record))
}

/// Sets the region. The one that replies show for classes without regions is as none, where such a class would be had.
fn with_region(
    spec: BrowserSessionSpec,
    region: String,
    classes: &[BrowserClass],
    namespace: &str,
) -> BrowserSessionSpec {
    let namespace = Namespace { name: namespace, labels: None };
    let means_none = region == view::NO_REGION
        && place(&placement::Request { spec: &spec, namespace, controller_name: None }, classes)
            .is_ok_and(|placement| placement.region.is_none());
    BrowserSessionSpec { region: (!means_none).then_some(region), ..spec }
}

fn read(body: &[u8], namespace: &str, unknown: UnknownProjects) -> Result<Asked, Problem> {
    let mut fields = Fields::of_body(body, Nulls::AreValues)?;
    let body = CreateSession::read(&mut fields);
    project_id::check(body.project_id.as_deref(), namespace, unknown, &mut fields);
    fields.finish()?;
    Ok(body.into_asked())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(body: &Value) -> Result<BrowserSessionSpec, Problem> {
        read(body.to_string().as_bytes(), "team-a", UnknownProjects::Refuse).map(|asked| asked.spec)
    }

    fn class(regions: Value) -> BrowserClass {
        serde_json::from_value(json!({
            "apiVersion": "browser-operator.io/v1alpha1", "kind": "BrowserClass",
            "metadata": {"name": "chromium"},
            "spec": {
                "browserName": "chrome", "versions": [{"version": "1", "image": "i"}],
                "regions": regions,
            },
        }))
        .unwrap()
    }

    #[test]
    fn the_region_that_replies_show_is_accepted_where_there_are_none() {
        let (without, with) = (class(json!([])), class(json!([{"name": "eu"}])));
        for (asked, classes, region) in [
            (view::NO_REGION, [without.clone()], None),
            (view::NO_REGION, [with.clone()], Some(view::NO_REGION)),
            ("eu", [with], Some("eu")),
            ("eu", [without], Some("eu")),
        ] {
            let spec = with_region(base_spec(60), asked.to_owned(), &classes, "team-a");
            assert_eq!(spec.region.as_deref(), region, "{asked}");
        }
    }

    #[test]
    fn a_viewport_with_one_side_gets_the_others_default() {
        let viewport = |size: Value| of(&json!({"browserSettings": {"viewport": size}}));
        for (size, width, height) in [
            (json!({"width": 800}), 800, 720),
            (json!({"height": 600}), 1280, 600),
            (json!({}), 1280, 720),
        ] {
            let seen = viewport(size).unwrap().viewport;
            assert_eq!(seen, Some(Viewport { width, height }));
        }
        let problem = viewport(json!({"width": 100, "height": 100})).unwrap_err().message();
        assert!(problem.contains("viewport.width: must be from 320 to 7680: a "), "{problem}");
        assert!(problem.contains("viewport.height: must be from 240 to 4320: a "), "{problem}");
    }

    #[test]
    fn any_project_is_the_keys_where_the_chart_says_so() {
        let body = json!({"projectId": "0f4a9c3e"}).to_string();
        assert!(read(body.as_bytes(), "team-a", UnknownProjects::Refuse).is_err());
        assert!(read(body.as_bytes(), "team-a", UnknownProjects::OwnNamespace).is_ok());
    }

    #[test]
    fn an_empty_body_is_a_session_of_chrome_that_ends_with_its_connection() {
        let spec = read(b"", "team-a", UnknownProjects::Refuse).unwrap().spec;
        assert_eq!(spec.capabilities.to_json(), json!({"alwaysMatch": {"browserName": "chrome"}}));
        assert_eq!((spec.timeout_seconds, spec.idle_timeout_seconds), (Some(1800), 0));
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
                "allowedDomains": ["example.com"],
            },
        }))
        .unwrap();
        assert_eq!(spec.viewport, Some(Viewport { width: 1288, height: 711 }));
        assert_eq!((spec.timeout_seconds, spec.keep_alive), (Some(60), Some(true)));
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
            (json!({"proxies": "yes"}), "proxies"),
            (json!({"proxySettings": {"caCertificates": ["c"]}}), "proxySettings"),
            (json!({"region": 1}), "region"),
            (json!({"userMetadata": []}), "userMetadata"),
            (json!({"colour": "blue"}), "colour"),
            (json!({"browserSettings": []}), "browserSettings"),
            (json!({"browserSettings": {"context": {"id": "c"}}}), "browserSettings.context"),
            (json!({"browserSettings": {"extensionId": "e"}}), "browserSettings.extensionId"),
            (
                json!({"browserSettings": {"viewport": {"width": 1}}}),
                "browserSettings.viewport.width",
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
                json!({"browserSettings": {"allowedDomains": ["a", "http://a/b"]}}),
                "browserSettings.allowedDomains",
            ),
            (
                json!({"browserSettings": {"allowedDomains": "a.example"}}),
                "browserSettings.allowedDomains",
            ),
            (
                json!({"browserSettings": {"ignoreCertificateErrors": 1}}),
                "browserSettings.ignoreCertificateErrors",
            ),
        ] {
            let message = of(&body).expect_err(&body.to_string()).message();
            assert!(message.contains(&format!("{field}: ")), "{body}: {message}");
        }
    }
}
