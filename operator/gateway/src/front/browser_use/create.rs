//! `POST /sessions` and `POST /browsers`.

use crds::{BrowserSessionSpec, Features, session::Viewport};
use serde_json::{Map, Value, json};

use super::{
    api::API,
    field_types::{Metadata, Minutes, StartUrl},
    proxies,
    resource::Resource,
    view::{self, Item},
};
use crate::{
    front::hosted::{
        authorize::authorize,
        create::{Asked, base_spec, create_and_wait},
        features,
        field_types::{boolean, integer, nullable, uuid},
        fields::{Body, Fields, Nulls},
        problem::Problem,
        proxies::Proxies,
        request::Request,
        unsupported,
    },
    state::Gateway,
};

/// Also of every session, which has no `timeout`.
const DEFAULT_MINUTES: i32 = 60;
const MAX_MINUTES: i32 = 240;
/// What the service says of more.
const TOO_LONG: &str = "Maximum session timeout is 4 hours (240 minutes).";
/// The width and height of a screen where only one of them is given.
const SCREEN: (i32, i32) = (1920, 1080);

/// The body of `POST /sessions`. Of the service's own fields, those that this version does not have are read and not kept.
pub struct CreateSession {
    common: Common,
    persist_memory: bool,
    keep_alive: bool,
}

/// The body of `POST /browsers`.
pub struct CreateBrowser {
    common: Common,
    timeout_minutes: i32,
    metadata: Option<Map<String, Value>>,
    solve_captchas: bool,
}

/// The fields of both.
struct Common {
    proxies: Option<Proxies>,
    start_url: Option<String>,
    screen_width: Option<i32>,
    screen_height: Option<i32>,
}

impl Body for CreateSession {
    fn read(fields: &mut Fields) -> Self {
        Self {
            common: Common::read(fields),
            persist_memory: fields.with_default(
                "persistMemory",
                boolean(),
                true,
                "Kept and given back; agents are not run here.",
            ),
            keep_alive: fields.with_default(
                "keepAlive",
                boolean(),
                true,
                "Whether it outlives its last connection.",
            ),
        }
    }
}

impl Body for CreateBrowser {
    fn read(fields: &mut Fields) -> Self {
        fields.optional("allowResizing", boolean(), "Every window here can be sized.");
        fields.optional(
            "pdfRendererEnabled",
            unsupported::switched_on(),
            "true is as it is anyway: a PDF is shown by the browser; false is refused.",
        );
        let extensions = json!({"type": "array", "items": {"type": "string"}, "maxItems": 3});
        fields.optional("extensionIds", unsupported::extensions(extensions), "");
        Self {
            common: Common::read(fields),
            timeout_minutes: fields.with_default(
                "timeout",
                Minutes { maximum: MAX_MINUTES },
                DEFAULT_MINUTES,
                "The hard limit of its life in minutes.",
            ),
            metadata: fields.optional("metadata", Metadata, "At most 10 pairs of strings."),
            solve_captchas: features::solve_captchas(fields) == Some(true),
        }
    }
}

impl Body for Common {
    fn read(fields: &mut Fields) -> Self {
        fields.optional("profileId", unsupported::context(nullable(uuid())), "");
        fields.optional("enableRecording", unsupported::switched_off(), "");
        Self {
            proxies: proxies::read(fields),
            start_url: fields.optional(
                "startUrl",
                nullable(StartUrl),
                "Opened before the call answers; one that does not load is an Event.",
            ),
            screen_width: fields.optional(
                "browserScreenWidth",
                nullable(integer(320, 6144)),
                "The viewport's width; 1920 where only the height is said.",
            ),
            screen_height: fields.optional(
                "browserScreenHeight",
                nullable(integer(320, 3456)),
                "The viewport's height; 1080 where only the width is said.",
            ),
        }
    }
}

impl Common {
    fn into_asked(self, minutes: i32) -> Asked {
        let (width, height) = (self.screen_width, self.screen_height);
        let viewport = (width.is_some() || height.is_some()).then(|| Viewport {
            width: width.unwrap_or(SCREEN.0),
            height: height.unwrap_or(SCREEN.1),
        });
        let spec = BrowserSessionSpec {
            start_url: self.start_url,
            viewport,
            ..base_spec(minutes.saturating_mul(60))
        };
        Asked::through(spec, self.proxies)
    }
}

pub async fn create(
    gateway: &Gateway,
    request: &Request,
    resource: Resource,
) -> Result<Item, Problem> {
    let caller = authorize(gateway, request, &API, "create").await?;
    let body = request.body(gateway).await?;
    let (asked, state) = match resource {
        Resource::Sessions => session(&body)?,
        Resource::Browsers => browser(&body)?,
    };
    let (record, guard) = create_and_wait(gateway, &caller, &API, asked, state).await?;
    guard.disarm();
    Ok(view::item(gateway, request, resource, &record))
}

/// A session's spec, and the state that this front keeps.
fn session(body: &[u8]) -> Result<(Asked, Value), Problem> {
    let CreateSession { common, persist_memory, keep_alive } = parse(body)?;
    let mut asked = common.into_asked(DEFAULT_MINUTES);
    asked.spec.keep_alive = Some(keep_alive);
    Ok((asked, json!({"api": "browser-use", "persistMemory": persist_memory})))
}

/// The same of a browser. It stays until it is stopped or its timeout ends it.
fn browser(body: &[u8]) -> Result<(Asked, Value), Problem> {
    let CreateBrowser { common, timeout_minutes, metadata, solve_captchas } = parse(body)?;
    if timeout_minutes > MAX_MINUTES {
        return Err(Problem::Forbidden(TOO_LONG.to_owned()));
    }
    let Asked { spec, credentials } = common.into_asked(timeout_minutes);
    let spec = BrowserSessionSpec {
        keep_alive: Some(true),
        user_metadata: metadata,
        features: solve_captchas.then(|| Features { solve_captchas, ..Features::default() }),
        ..spec
    };
    Ok((Asked { spec, credentials }, json!({"api": "browser-use"})))
}

/// The open-source client writes the names in snake case.
fn parse<B: Body>(body: &[u8]) -> Result<B, Problem> {
    let mut fields = Fields::of_body(body, Nulls::AreAbsent)?;
    fields.rename(|name| name.contains('_').then(|| camel_case(name)));
    let body = B::read(&mut fields);
    fields.finish()?;
    Ok(body)
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut camel, word| {
        let mut letters = word.chars();
        camel.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
        camel
    })
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
            let (Asked { spec, .. }, _) = browser(&text(&body)).unwrap();
            assert_eq!((spec.timeout_seconds, spec.keep_alive), (Some(300), Some(true)));
            assert_eq!(spec.viewport, Some(Viewport { width: 1280, height: 1080 }));
            assert_eq!(spec.start_url.as_deref(), Some("https://example.com"));
        }
    }

    #[test]
    fn a_session_that_says_nothing_stays_for_an_hour() {
        let (Asked { spec, .. }, noted) = session(b"{}").unwrap();
        assert_eq!((spec.timeout_seconds, spec.keep_alive), (Some(3600), Some(true)));
        assert_eq!(noted["persistMemory"], true);
        let (Asked { spec, .. }, noted) =
            session(br#"{"keepAlive": false, "persistMemory": false}"#).unwrap();
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
            (both, json!({"proxyCountryCode": "usa"}), "proxyCountryCode", "enum"),
            (both, json!({"customProxy": "http://p"}), "customProxy", "dict_type"),
            (both, json!({"enableRecording": true}), "enableRecording", "not_available"),
            (both, json!({"startUrl": 7}), "startUrl", "string_type"),
            (both, json!({"startUrl": "file:///etc"}), "startUrl", "url_scheme"),
            (both, json!({"startUrl": "http://a.example/\n"}), "startUrl", "url_scheme"),
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
