//! Schemas of answers, which are types of serde's.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::Value;

/// The schema of a type as it is serialized, as OpenAPI 3.0 writes it.
pub fn response_schema<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::openapi3().for_serialize().with(|settings| {
        settings.meta_schema = None;
        settings.inline_subschemas = true;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    schema.remove("title");
    schema.to_value()
}
