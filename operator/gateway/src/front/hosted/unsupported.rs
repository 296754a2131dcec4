//! Fields that the services have and this version does not. A value that asks for nothing is accepted; one that asks for
//! something is refused by name, because a program that asks relies on it.

use serde_json::Value;

use super::{
    field_types::boolean,
    fields::{Field, FieldType, absent_as},
};

const NOTE: &str = "Not available in this version; refused where it asks for something.";

/// A field that is refused unless it asks for nothing.
pub struct Unsupported<T> {
    /// What the service takes.
    field_type: T,
    asks_for_nothing: fn(&Value) -> bool,
    /// What to do without it.
    instead: &'static str,
    /// In the schema.
    note: &'static str,
}

impl<T: FieldType> FieldType for Unsupported<T> {
    type Output = ();

    fn read(&self, value: Value, field: &mut Field<'_>) -> Option<()> {
        let asks_for_nothing = (self.asks_for_nothing)(&value);
        self.field_type.read(value, field)?;
        if !asks_for_nothing {
            let message = format!("is not available in this version: {}", self.instead);
            field.fault("not_available", message);
        }
        Some(())
    }

    fn schema(&self) -> Value {
        let mut schema = self.field_type.schema();
        schema["description"] = self.note.into();
        schema
    }

    fn is_nullable(&self) -> bool {
        self.field_type.is_nullable()
    }
}

/// A value of the service's that is not looked into.
pub struct Opaque(pub Value);

impl FieldType for Opaque {
    type Output = ();

    fn read(&self, _: Value, _: &mut Field<'_>) -> Option<()> {
        Some(())
    }

    fn schema(&self) -> Value {
        self.0.clone()
    }
}

/// `spec.certificates`.
pub fn certificates(schema: Value) -> Unsupported<Opaque> {
    Unsupported {
        field_type: Opaque(schema),
        asks_for_nothing: |value| {
            value.as_object().is_some_and(|settings| settings.values().all(is_empty))
        },
        instead: "leave it out",
        note: NOTE,
    }
}

/// `spec.context`.
pub fn context<T: FieldType>(field_type: T) -> Unsupported<T> {
    Unsupported {
        field_type,
        asks_for_nothing: Value::is_null,
        instead: "no profile outlives its session; leave it out",
        note: NOTE,
    }
}

/// `spec.extensions`.
pub fn extensions(schema: Value) -> Unsupported<Opaque> {
    Unsupported {
        field_type: Opaque(schema),
        asks_for_nothing: |value| value.is_null() || is_empty(value),
        instead: "leave it out",
        note: NOTE,
    }
}

/// A switch that cannot be turned on: `spec.blockAds`, `spec.recording`, `spec.log`.
pub fn switched_off() -> Unsupported<impl FieldType<Output = bool>> {
    Unsupported {
        field_type: absent_as(boolean(), false),
        asks_for_nothing: |value| *value == false,
        instead: "leave it out, or false",
        note: NOTE,
    }
}

/// A switch that is always on: only turning it off asks for something.
pub fn switched_on() -> Unsupported<impl FieldType<Output = bool>> {
    Unsupported {
        field_type: boolean(),
        asks_for_nothing: |value| *value == true,
        instead: "leave it out, or true",
        note: "",
    }
}

fn is_empty(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::front::hosted::fields::{Fields, Nulls};
    use serde_json::json;

    #[test]
    fn what_does_no_harm_passes_and_what_was_asked_for_is_named() {
        type Read = fn(&mut Fields) -> Option<()>;
        let certificate: Read = |fields| fields.optional("field", certificates(json!({})), "");
        let context: Read = |fields| fields.optional("field", context(Opaque(json!({}))), "");
        let extension: Read = |fields| fields.optional("field", extensions(json!({})), "");
        let record: Read = |fields| fields.optional("field", switched_off(), "");
        let cases: [(Read, Value, bool); 11] = [
            (certificate, json!({}), true),
            (certificate, json!({"caCertificates": []}), true),
            (certificate, json!({"caCertificates": ["c"]}), false),
            (certificate, json!("us"), false),
            (context, json!({"id": "c"}), false),
            (context, json!(null), true),
            (extension, json!([]), true),
            (extension, json!("e"), false),
            (record, json!(false), true),
            (record, json!(true), false),
            (record, json!("yes"), false),
        ];
        for (read, value, passes) in cases {
            let body = json!({"field": value}).to_string();
            let mut fields = Fields::of_body(body.as_bytes(), Nulls::AreValues).unwrap();
            read(&mut fields);
            let finished = fields.finish();
            assert_eq!(finished.is_ok(), passes, "{body}");
            if let Err(problem) = finished {
                assert!(problem.message().starts_with("field: "), "{}", problem.message());
            }
        }
    }
}
