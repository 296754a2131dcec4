//! Types of fields that Browser Use alone has.

use crds::session::{START_URLS, is_start_url};
use serde_json::{Map, Value, json};

use crate::front::hosted::{
    field_types::{free_object, integer, text},
    fields::{Field, FieldType},
};

/// Minutes of a browser's life. More than the maximum is no fault of the field: the service answers with 403.
pub struct Minutes {
    pub maximum: i32,
}

impl FieldType for Minutes {
    type Output = i32;

    fn read(&self, value: Value, field: &mut Field<'_>) -> Option<i32> {
        integer(1, i32::MAX / 60).read(value, field)
    }

    fn schema(&self) -> Value {
        integer(1, self.maximum).schema()
    }
}

const MAX_URL: usize = 8192;

/// A page to begin with: what the object would refuse is refused here, by the field's name.
pub struct StartUrl;

impl FieldType for StartUrl {
    type Output = String;

    fn read(&self, value: Value, field: &mut Field<'_>) -> Option<String> {
        let url = text(MAX_URL).read(value, field)?;
        if !is_start_url(&url) {
            field.fault("url_scheme", START_URLS.trim_start_matches("startUrl "));
        }
        Some(url)
    }

    fn schema(&self) -> Value {
        text(MAX_URL).schema()
    }
}

const MAX_PAIRS: usize = 10;
/// Characters of a value.
const MAX_TEXT: usize = 500;

/// A browser's metadata: a few pairs of strings.
pub struct Metadata;

impl FieldType for Metadata {
    type Output = Map<String, Value>;

    fn read(&self, value: Value, field: &mut Field<'_>) -> Option<Self::Output> {
        let pairs = free_object().read(value, field)?;
        if pairs.len() > MAX_PAIRS {
            field.fault("too_long", format!("must have at most {MAX_PAIRS} pairs"));
        }
        let is_text =
            |value: &Value| value.as_str().is_some_and(|text| text.chars().count() <= MAX_TEXT);
        if let Some((name, _)) = pairs.iter().find(|(_, value)| !is_text(value)) {
            let message = format!("{name} must be a string of at most {MAX_TEXT} characters");
            field.fault("string_type", message);
        }
        Some(pairs)
    }

    fn schema(&self) -> Value {
        json!({
            "type": "object",
            "additionalProperties": {"type": "string", "maxLength": MAX_TEXT},
            "maxProperties": MAX_PAIRS,
        })
    }
}
