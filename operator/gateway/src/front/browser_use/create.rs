//! `POST /sessions` and `POST /browsers`.

use crds::{BrowserSessionSpec, Features, session::Viewport};
use serde_json::{Map, Value, json};

use super::{api::API, resource::Resource, view};
use crate::{
    front::hosted::{
        authorize::authorize,
        create::{base_spec, create as create_record},
        fields::Fields,
        problem::Problem,
        request::Request,
        unsupported,
    },
    state::Gateway,
};

/// The most minutes of a browser, and what the service says of more.
const MAX_MINUTES: i32 = 240;
const TOO_LONG: &str = "Maximum session timeout is 4 hours (240 minutes).";
/// The minutes of one whose client says nothing.
const MINUTES: i32 = 60;
/// The longest URL.
const MAX_URL: usize = 8192;
/// The most pairs of metadata, and how long their values may be.
const MAX_PAIRS: usize = 10;
const MAX_TEXT: usize = 500;
/// The sizes of a screen that a viewport here may have.
const WIDTH: (i32, i32) = (320, 6144);
const HEIGHT: (i32, i32) = (320, 3456);
/// What a screen is as wide and high as, where only one of both is said.
const SCREEN: (i32, i32) = (1920, 1080);

type Read = (BrowserSessionSpec, Value);

pub async fn create(
    gateway: &Gateway,
    request: &Request,
    resource: Resource,
) -> Result<Value, Problem> {
    let caller = authorize(gateway, request, &API, "create").await?;
    let body = request.body().await?;
    let (spec, state) = match resource {
        Resource::Sessions => session(&body)?,
        Resource::Browsers => browser(&body)?,
    };
    let (record, abandon) = create_record(gateway, &caller, &API, spec, state).await?;
    abandon.disarm();
    Ok(view::item(gateway, request, resource, &record))
}

/// Reads that of a session.
fn session(body: &[u8]) -> Result<Read, Problem> {
    let mut fields = of_body(body)?;
    let mut spec = common(&mut fields, MINUTES);
    let keep_alive = fields.boolean("keepAlive").unwrap_or(true);
    spec.keep_alive = Some(keep_alive);
    let persist = fields.boolean("persistMemory").unwrap_or(true);
    fields.done()?;
    Ok((spec, json!({"api": "browser-use", "persistMemory": persist})))
}

/// Reads that of a browser.
fn browser(body: &[u8]) -> Result<Read, Problem> {
    let mut fields = of_body(body)?;
    let minutes = fields.integer("timeout", 1, i32::MAX / 60).unwrap_or(MINUTES);
    let mut spec = common(&mut fields, minutes);
    // It stays until it is stopped or its time is over.
    spec.keep_alive = Some(true);
    spec.user_metadata = fields.object("metadata").map(|metadata| pairs(&mut fields, metadata));
    // A browser's window can be sized whatever is said here.
    let _ = fields.boolean("allowResizing");
    unsupported::pdf_renderer(&mut fields, "pdfRendererEnabled");
    spec.features = fields
        .boolean("solveCaptchas")
        .filter(|solve| *solve)
        .map(|solve_captchas| Features { solve_captchas, ..Features::default() });
    unsupported::extension(&mut fields, "extensionIds");
    fields.done()?;
    if minutes > MAX_MINUTES {
        return Err(Problem::Forbidden(TOO_LONG.to_owned()));
    }
    Ok((spec, json!({"api": "browser-use"})))
}

/// The open-source client writes its names in snake case.
fn of_body(body: &[u8]) -> Result<Fields, Problem> {
    let mut fields = Fields::of_body(body, true)?;
    fields.rename(|name| name.contains('_').then(|| camel(name)));
    Ok(fields)
}

fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut camel, word| {
        let mut letters = word.chars();
        camel.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
        camel
    })
}

fn common(fields: &mut Fields, minutes: i32) -> BrowserSessionSpec {
    let mut spec = base_spec(Some(minutes.saturating_mul(60)));
    if let Some(id) = fields.uuid("profileId") {
        fields.put("profileId", id.into());
        unsupported::context(fields, "profileId");
    }
    unsupported::proxy(fields, "proxyCountryCode");
    unsupported::proxy(fields, "customProxy");
    unsupported::record(fields, "enableRecording");
    spec.start_url = start_url(fields);
    let width = fields.integer("browserScreenWidth", WIDTH.0, WIDTH.1);
    let height = fields.integer("browserScreenHeight", HEIGHT.0, HEIGHT.1);
    if width.is_some() || height.is_some() {
        spec.viewport =
            Some(Viewport { width: width.unwrap_or(SCREEN.0), height: height.unwrap_or(SCREEN.1) });
    }
    spec
}

/// What the object would refuse, refused by its name.
fn start_url(fields: &mut Fields) -> Option<String> {
    let url = fields.text("startUrl", MAX_URL)?;
    let is_page = url == "about:blank"
        || ["http://", "https://"].iter().any(|scheme| url.starts_with(scheme));
    if !is_page {
        fields.fault(
            "startUrl",
            "url_scheme",
            "must be about:blank or begin with http:// or https://",
        );
    }
    Some(url)
}

fn pairs(fields: &mut Fields, metadata: Map<String, Value>) -> Map<String, Value> {
    if metadata.len() > MAX_PAIRS {
        fields.fault("metadata", "too_long", format!("must have at most {MAX_PAIRS} pairs"));
    }
    let is_text =
        |value: &Value| value.as_str().is_some_and(|text| text.chars().count() <= MAX_TEXT);
    if let Some((name, _)) = metadata.iter().find(|(_, value)| !is_text(value)) {
        let message = format!("{name} must be a string of at most {MAX_TEXT} characters");
        fields.fault("metadata", "string_type", message);
    }
    metadata
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &Value) -> Vec<u8> {
        value.to_string().into_bytes()
    }

    #[test]
    fn both_casings_are_the_same_fields() {
        for body in [
            json!({"profileId": null, "proxyCountryCode": null, "timeout": 5, "enableRecording": false,
                "browserScreenWidth": 1280, "startUrl": "https://example.com"}),
            json!({"profile_id": null, "proxy_country_code": null, "timeout": 5, "enable_recording": false,
                "browser_screen_width": 1280, "start_url": "https://example.com"}),
        ] {
            let (spec, _) = browser(&text(&body)).unwrap();
            assert_eq!((spec.timeout_seconds, spec.keep_alive), (300, Some(true)));
            assert_eq!(spec.viewport, Some(Viewport { width: 1280, height: 1080 }));
            assert_eq!(spec.start_url.as_deref(), Some("https://example.com"));
        }
    }

    #[test]
    fn a_session_that_says_nothing_stays_for_an_hour() {
        let (spec, noted) = session(b"{}").unwrap();
        assert_eq!((spec.timeout_seconds, spec.keep_alive), (3600, Some(true)));
        assert_eq!(noted["persistMemory"], true);
        let (spec, noted) = session(br#"{"keepAlive": false, "persistMemory": false}"#).unwrap();
        assert_eq!((spec.keep_alive, &noted["persistMemory"]), (Some(false), &json!(false)));
    }

    #[test]
    fn what_cannot_be_had_is_named_with_its_place() {
        let (both, browsers) = (true, false);
        for (in_both, body, field, kind) in [
            (both, json!({"profileId": "p"}), "profileId", "uuid_parsing"),
            (
                both,
                json!({"profileId": "6d1f2f4e-0000-8000-8000-000000000001"}),
                "profileId",
                "not_available",
            ),
            (both, json!({"proxyCountryCode": "us"}), "proxyCountryCode", "not_available"),
            (
                both,
                json!({"customProxy": {"host": "h", "port": 1}}),
                "customProxy",
                "not_available",
            ),
            (both, json!({"enableRecording": true}), "enableRecording", "not_available"),
            (both, json!({"startUrl": 7}), "startUrl", "string_type"),
            (both, json!({"startUrl": "file:///etc"}), "startUrl", "url_scheme"),
            (both, json!({"browserScreenWidth": 319}), "browserScreenWidth", "greater_than_equal"),
            (both, json!({"browserScreenWidth": 6145}), "browserScreenWidth", "less_than_equal"),
            (both, json!({"browserScreenHeight": 3457}), "browserScreenHeight", "less_than_equal"),
            (both, json!({"browserScreenHeight": "x"}), "browserScreenHeight", "int_type"),
            (both, json!({"colour": 1}), "colour", "extra_forbidden"),
            (browsers, json!({"timeout": 0}), "timeout", "greater_than_equal"),
            (browsers, json!({"metadata": {"a": 1}}), "metadata", "string_type"),
            (browsers, json!({"solveCaptchas": "yes"}), "solveCaptchas", "bool_type"),
            (browsers, json!({"extensionIds": ["e"]}), "extensionIds", "not_available"),
            (browsers, json!({"allowResizing": 1}), "allowResizing", "bool_type"),
            (browsers, json!({"pdfRendererEnabled": false}), "pdfRendererEnabled", "not_available"),
        ] {
            let mut outcomes = vec![browser(&text(&body))];
            if in_both {
                outcomes.push(session(&text(&body)));
            }
            for outcome in outcomes {
                let Err(Problem::Invalid(faults)) = outcome else { panic!("{body} was accepted") };
                assert_eq!((faults[0].name().as_str(), faults[0].kind), (field, kind), "{body}");
            }
        }
        let Err(Problem::Forbidden(message)) = browser(br#"{"timeout": 241}"#) else {
            panic!("it was accepted")
        };
        assert_eq!(message, TOO_LONG);
    }
}
