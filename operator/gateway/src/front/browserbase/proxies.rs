//! `proxies`: true, or a list of which the first entry that matches a request decides.

use crds::proxy::{Geolocation, Proxy, ProxyRule, ProxyType};
use egress::{DomainPattern, MAX_RULES};
use serde_json::{Value, json};

use crate::front::hosted::{
    field_types::{letters, object, one_of, parsed, text},
    fields::{Body, Field, FieldType, Fields, describe},
    proxies::{self, Proxies, managed, parse_server, route},
};

/// Characters, as in the object.
const MAX_PATTERN: usize = 1024;
const MAX_SERVER: usize = 2048;
const MAX_CREDENTIAL: usize = 255;
const MAX_CITY: usize = 128;
/// The country whose states can be asked for.
const STATES_OF: &str = "US";

/// The field's type; `None` is as if nothing had been asked for.
pub struct ProxiesField;

impl FieldType for ProxiesField {
    type Output = Option<Proxies>;

    fn read(&self, value: Value, field: &mut Field<'_>) -> Option<Option<Proxies>> {
        let entries = match value {
            Value::Bool(false) => return Some(None),
            Value::Bool(true) => {
                let proxy = Proxy { rules: Vec::new(), default: Some(managed(None)) };
                return Some(Some(Proxies { proxy, ..Proxies::default() }));
            }
            Value::Array(entries) => entries,
            _ => {
                field.fault("value_error", "must be true, false or a list of proxies");
                return None;
            }
        };
        if entries.is_empty() {
            return Some(None);
        }
        if entries.len() > MAX_RULES {
            let message = format!("has {} proxies; there may be {MAX_RULES}", entries.len());
            field.fault("too_long", message);
            return None;
        }
        let mut all = Proxies::default();
        for (index, entry) in entries.into_iter().enumerate() {
            if let Some(entry) = field.element(index, &EntryField, entry) {
                let rule = entry.into_rule(&mut all);
                all.proxy.rules.push(rule);
            }
        }
        Some(Some(all))
    }

    fn schema(&self) -> Value {
        let list = json!({"type": "array", "maxItems": MAX_RULES, "items": EntryField.schema()});
        json!({"anyOf": [{"type": "boolean"}, list]})
    }
}

/// An entry that has been checked.
enum Entry {
    Managed(Option<String>, Option<Geolocation>),
    External(Option<String>, String, Option<egress::Credentials>),
    Direct(Option<String>),
}

impl Entry {
    fn into_rule(self, all: &mut Proxies) -> ProxyRule {
        let (domain_pattern, route) = match self {
            Self::Managed(pattern, place) => (pattern, managed(place)),
            Self::External(pattern, server, credentials) => {
                (pattern, all.external(server, credentials))
            }
            Self::Direct(pattern) => (pattern, route(ProxyType::None)),
        };
        ProxyRule { domain_pattern, resolve: None, request_headers: Vec::new(), route }
    }
}

struct EntryField;

impl FieldType for EntryField {
    type Output = Entry;

    fn read(&self, value: Value, field: &mut Field<'_>) -> Option<Entry> {
        let has_server = value.get("server").is_some();
        let Written { type_, domain_pattern, server, username, password, geolocation } =
            object::<Written>().read(value, field)?;
        let type_ = type_?;
        let mut is_foreign = false;
        for (name, is_there, of) in [
            ("server", server.is_some(), ProxyType::External),
            ("username", username.is_some(), ProxyType::External),
            ("password", password.is_some(), ProxyType::External),
            ("geolocation", geolocation.is_some(), ProxyType::Managed),
        ] {
            if is_there && of != type_ {
                let type_ = if of == ProxyType::External { "external" } else { "browserbase" };
                field.fault("value_error", format!("{name} is for the type {type_} alone"));
                is_foreign = true;
            }
        }
        if is_foreign {
            return None;
        }
        Some(match type_ {
            ProxyType::External => {
                let Some(server) = server else {
                    // One that is wrong has its fault already.
                    if !has_server {
                        field.fault("missing", "server is missing: the type external needs one");
                    }
                    return None;
                };
                match proxies::credentials(username, password) {
                    Ok(credentials) => Entry::External(domain_pattern, server, credentials),
                    Err(error) => {
                        field.fault("value_error", error.to_string());
                        return None;
                    }
                }
            }
            ProxyType::Managed => Entry::Managed(domain_pattern, geolocation),
            _ => Entry::Direct(domain_pattern),
        })
    }

    fn schema(&self) -> Value {
        describe::<Written>()
    }
}

/// An entry as it is written.
struct Written {
    type_: Option<ProxyType>,
    domain_pattern: Option<String>,
    server: Option<String>,
    username: Option<String>,
    password: Option<String>,
    geolocation: Option<Geolocation>,
}

impl Body for Written {
    fn read(fields: &mut Fields) -> Self {
        let types = [
            ("browserbase", ProxyType::Managed),
            ("external", ProxyType::External),
            ("none", ProxyType::None),
        ];
        let geolocation =
            fields.optional("geolocation", object::<Place>(), "Of a browserbase proxy.");
        Self {
            type_: fields.required("type", one_of(types), "none: straight to the server."),
            domain_pattern: fields.optional(
                "domainPattern",
                parsed(MAX_PATTERN, DomainPattern::parse),
                "The hosts it is for, as in spec.proxy; absent: every host.",
            ),
            server: fields.optional(
                "server",
                parsed(MAX_SERVER, parse_server),
                "The URL of an external proxy.",
            ),
            username: fields.optional("username", text(MAX_CREDENTIAL), "Of an external proxy."),
            password: fields.optional("password", text(MAX_CREDENTIAL), "Of an external proxy."),
            geolocation: geolocation.and_then(|Place(geolocation)| geolocation),
        }
    }
}

struct Place(Option<Geolocation>);

impl Body for Place {
    fn read(fields: &mut Fields) -> Self {
        let country = fields.required("country", letters(), "ISO 3166-1 alpha-2.");
        let state = fields.optional("state", letters(), "A state of the US.");
        let city = fields.optional("city", text(MAX_CITY), "With spaces between words.");
        let is_us =
            country.as_deref().is_none_or(|country| country.eq_ignore_ascii_case(STATES_OF));
        if state.is_some() && !is_us {
            fields.fault("state", "value_error", "is for the country US alone");
        }
        Self(country.map(|country| Geolocation { country, state, city }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::front::hosted::{fields::Nulls, problem::Problem};

    fn read(proxies: &Value) -> Result<Option<Proxies>, Problem> {
        let body = json!({"proxies": proxies}).to_string();
        let mut fields = Fields::of_body(body.as_bytes(), Nulls::AreValues).unwrap();
        let read = fields.optional("proxies", ProxiesField, "");
        fields.finish().map(|()| read.flatten())
    }

    #[test]
    fn entries_are_rules_and_credentials_stand_beside_them() {
        let proxies = read(&json!([
            {"type": "browserbase", "domainPattern": r".*\.gov", "geolocation": {"country": "US", "state": "NY", "city": "New York"}},
            {"type": "external", "server": "http://proxy:3128", "username": "team-a", "password": "correct-horse"},
            {"type": "external", "server": "socks5h://proxy", "domainPattern": "*.example.com"},
            {"type": "none"},
        ]));
        let proxies = proxies.unwrap().unwrap();
        let place = json!({"country": "US", "state": "NY", "city": "New York"});
        assert_eq!(
            serde_json::to_value(&proxies.proxy).unwrap(),
            json!({"rules": [
                {"type": "managed", "domainPattern": r".*\.gov", "geolocation": place},
                {"type": "external", "server": "http://proxy:3128", "credentialsKey": "0"},
                {"type": "external", "server": "socks5h://proxy", "domainPattern": "*.example.com"},
                {"type": "none"},
            ]})
        );
        let brought = &proxies.credentials["0"];
        assert_eq!((brought.server.as_str(), proxies.credentials.len()), ("http://proxy:3128", 1));
        assert_eq!(brought.credentials.password(), "correct-horse");
        assert!(!format!("{proxies:?}").contains("correct-horse"));
    }

    #[test]
    fn true_is_any_of_the_clusters_own_and_false_is_none() {
        let any = read(&json!(true)).unwrap().unwrap();
        assert_eq!(
            serde_json::to_value(any.proxy).unwrap(),
            json!({"default": {"type": "managed"}})
        );
        for nothing in [json!(false), json!([])] {
            assert_eq!(read(&nothing).unwrap(), None);
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let external = |extra: Value| {
            let mut entry = json!({"type": "external", "server": "http://p"});
            entry.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            json!([{"type": "none"}, entry])
        };
        let long = "x".repeat(256);
        for (proxies, words) in [
            (json!("yes"), "proxies: must be true, false or a list"),
            (json!(7), "proxies: must be true, false or a list"),
            (
                json!(vec![json!({"type": "none"}); 129]),
                "proxies: has 129 proxies; there may be 128",
            ),
            (json!(["a"]), "proxies.0: must be an object"),
            (json!([{}]), "proxies.0.type: Field required"),
            (
                json!([{"type": "tor"}]),
                "proxies.0.type: must be one of browserbase, external, none",
            ),
            (json!([{"type": "external"}]), "proxies.0: server is missing"),
            (external(json!({"server": "ftp://p"})), "proxies.1.server: must be a URL"),
            (external(json!({"server": "http://p:0"})), "proxies.1.server: has a port"),
            (
                external(json!({"server": "http://a:b@p"})),
                "proxies.1.server: has credentials, which",
            ),
            (external(json!({"server": "http://p\r\nx"})), "proxies.1.server: has more than"),
            (
                external(json!({"username": "a\r\nb"})),
                "proxies.1: has a username or a password with a",
            ),
            (external(json!({"username": "a:b"})), "proxies.1: has a username with a colon"),
            (external(json!({"password": "p"})), "proxies.1: has no username"),
            (
                external(json!({"username": "a", "password": "a\nb"})),
                "proxies.1: has a username or",
            ),
            (external(json!({"username": long})), "proxies.1.username: must have at most 255"),
            (external(json!({"password": 7})), "proxies.1.password: must be a string"),
            (external(json!({"domainPattern": "a..b"})), "proxies.1.domainPattern: names no host"),
            (external(json!({"domainPattern": "(a"})), "proxies.1.domainPattern: "),
            (external(json!({"geolocation": {"country": "DE"}})), "proxies.1: geolocation is for"),
            (external(json!({"colour": 1})), "proxies.1.colour: there is no such field"),
            (json!([{"type": "none", "server": "http://p"}]), "proxies.0: server is for the type"),
            (
                json!([{"type": "browserbase", "geolocation": {"country": "DE", "state": "BY"}}]),
                "proxies.0.geolocation.state: is for the country US",
            ),
            (
                json!([{"type": "browserbase", "geolocation": {"country": "Germany"}}]),
                "proxies.0.geolocation.country: must be two letters",
            ),
            (
                json!([{"type": "browserbase", "geolocation": {}}]),
                "proxies.0.geolocation.country: Field required",
            ),
        ] {
            let message = read(&proxies).unwrap_err().message();
            assert!(message.starts_with(words), "{proxies}: {message}");
        }
    }
}
