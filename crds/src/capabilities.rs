//! WebDriver capabilities as a field of an object.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::schema::LINE;

/// One set of capabilities: names to values, as WebDriver has them.
pub type CapabilitySet = serde_json::Map<String, serde_json::Value>;

/// What the client wants, exactly as in the body of WebDriver's New Session.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Capabilities {
    /// What the browser must match in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "capability_set")]
    pub always_match: Option<CapabilitySet>,

    /// Alternatives in order of preference: the first that a class can match is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "capability_sets")]
    pub first_match: Option<Vec<CapabilitySet>>,
}

impl Capabilities {
    /// The default of a manifest: any browser, with BiDi.
    #[must_use]
    pub fn any_with_bidi() -> Self {
        let set = CapabilitySet::from_iter([("webSocketUrl".to_owned(), true.into())]);
        Self { always_match: Some(set), first_match: None }
    }

    /// As in the body of New Session.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let mut json = serde_json::Map::new();
        if let Some(set) = &self.always_match {
            json.insert("alwaysMatch".to_owned(), set.clone().into());
        }
        if let Some(sets) = &self.first_match {
            let sets: Vec<serde_json::Value> = sets.iter().cloned().map(Into::into).collect();
            json.insert("firstMatch".to_owned(), sets.into());
        }
        json.into()
    }
}

const MAX_SAFE_INTEGER: i64 = 9_007_199_254_740_991;
const PROMPTS: [&str; 5] =
    ["accept", "dismiss", "accept and notify", "dismiss and notify", "ignore"];

/// Standard capabilities have a schema, so that the API server refuses a wrong type; extension capabilities (`vendor:name`)
/// are free. The controller checks what a schema cannot express. Only timeouts may be null, which means none: of the
/// others the API server then stores none, which means the same, so that apply sees no change of the immutable spec.
fn capability_set(_: &mut SchemaGenerator) -> Schema {
    let milliseconds = || {
        serde_json::json!({
            "type": "integer", "format": "int64", "minimum": 0, "maximum": MAX_SAFE_INTEGER, "nullable": true,
        })
    };
    let boolean = || serde_json::json!({"type": "boolean"});
    let string = || serde_json::json!({"type": "string", "maxLength": 256, "pattern": LINE});
    json_schema!({
        "type": "object",
        "maxProperties": 64,
        "x-kubernetes-preserve-unknown-fields": true,
        "x-kubernetes-map-type": "atomic",
        "properties": {
            "acceptInsecureCerts": boolean(),
            "browserName": string(),
            "browserVersion": string(),
            "pageLoadStrategy": {"type": "string", "pattern": "^(none|eager|normal)$"},
            "platformName": string(),
            "proxy": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            "strictFileInteractability": boolean(),
            "timeouts": {
                "type": "object",
                "properties": {"implicit": milliseconds(), "pageLoad": milliseconds(), "script": milliseconds()},
            },
            "unhandledPromptBehavior": {
                "x-kubernetes-preserve-unknown-fields": true,
                "description": format!("One of {}, or a map of prompt types to them.", PROMPTS.join(", ")),
            },
            "webSocketUrl": boolean(),
        },
    })
}

fn capability_sets(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "minItems": 1,
        "maxItems": 32,
        "x-kubernetes-list-type": "atomic",
        "items": capability_set(generator),
    })
}

/// A JSON object without a schema, stored as it is.
pub(crate) fn free_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 256,
        "x-kubernetes-preserve-unknown-fields": true,
        "x-kubernetes-map-type": "atomic",
    })
}

/// A resource quantity; a manifest may write a whole number without quotes.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(from = "NumberOrText")]
pub struct Quantity(pub String);

#[derive(Deserialize)]
#[serde(untagged)]
enum NumberOrText {
    Number(i64),
    Text(String),
}

impl From<NumberOrText> for Quantity {
    fn from(value: NumberOrText) -> Self {
        match value {
            NumberOrText::Number(number) => Self(number.to_string()),
            NumberOrText::Text(text) => Self(text),
        }
    }
}

impl From<Quantity> for k8s_openapi::apimachinery::pkg::api::resource::Quantity {
    fn from(value: Quantity) -> Self {
        Self(value.0)
    }
}

impl JsonSchema for Quantity {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Quantity".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "x-kubernetes-int-or-string": true,
            "maxLength": 32,
            "pattern": r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$",
        })
    }
}
