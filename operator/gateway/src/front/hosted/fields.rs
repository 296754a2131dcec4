//! Reads a JSON object field by field and collects every fault, unknown fields included. Run without an object, the same reader
//! yields the schema for `/openapi.json`: a field's name, type, bounds and description stand in one place.

use serde_json::{Map, Value, json};

use super::problem::{Fault, Problem};
use crate::{front::bounded_json, shown::shown};

/// How many faults are told of a body: an answer must not be larger than what it refuses.
const MAX_FAULTS: usize = 64;

/// An object of a request.
pub trait Body: Sized {
    /// Reads every field, also after a fault, which leaves `None` or a default behind. No field may be read only if another has
    /// some value: the schema would miss it.
    fn read(fields: &mut Fields) -> Self;
}

/// What a field may hold.
pub trait FieldType {
    /// What is read of it.
    type Output;

    /// Reads a value; one that this type does not allow is noted as a fault of the field.
    fn read(&self, value: Value, field: &mut Field<'_>) -> Option<Self::Output>;

    /// Its schema, as OpenAPI 3.0 writes it. A description here comes before the field's own.
    fn schema(&self) -> Value;

    /// Whether null is as if the field were absent.
    fn is_nullable(&self) -> bool {
        false
    }
}

/// What null means in a body, for fields that are not nullable themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nulls {
    /// It is a value, of the wrong type for most fields.
    AreValues,
    /// It is as if the field were absent.
    AreAbsent,
}

/// The fields of one object: read, or described.
pub struct Fields {
    map: Map<String, Value>,
    path: Vec<String>,
    nulls: Nulls,
    faults: Vec<Fault>,
    description: Option<Description>,
}

#[derive(Default)]
struct Description {
    properties: Map<String, Value>,
    required: Vec<&'static str>,
}

impl Fields {
    /// A request's body; an empty one is as an empty object.
    pub fn of_body(body: &[u8], nulls: Nulls) -> Result<Self, Problem> {
        let map = if body.iter().all(u8::is_ascii_whitespace) {
            Map::new()
        } else {
            match bounded_json::parse(body) {
                Ok(Value::Object(map)) => map,
                Ok(_) => {
                    let message = "the body must be a JSON object";
                    return Err(Problem::invalid(&["body"], "dict_type", message));
                }
                Err(error) => {
                    return Err(Problem::invalid(&["body"], "json_invalid", error.to_string()));
                }
            }
        };
        Ok(Self::new(map, vec!["body".to_owned()], nulls))
    }

    fn new(map: Map<String, Value>, path: Vec<String>, nulls: Nulls) -> Self {
        Self { map, path, nulls, faults: Vec::new(), description: None }
    }

    /// Renames fields of the body, for clients that spell them in another way.
    pub fn rename(&mut self, rename: impl Fn(&str) -> Option<String>) {
        let renamed: Vec<(String, String)> =
            self.map.keys().filter_map(|name| Some((name.clone(), rename(name)?))).collect();
        for (old, new) in renamed {
            if let Some(value) = self.map.remove(&old) {
                self.map.entry(new).or_insert(value);
            }
        }
    }

    /// A field that may be absent.
    pub fn optional<T: FieldType>(
        &mut self,
        name: &'static str,
        field_type: T,
        description: &str,
    ) -> Option<T::Output> {
        if let Some(object) = &mut self.description {
            object.properties.insert(name.to_owned(), describe_field(&field_type, description));
            return None;
        }
        let value = self.map.remove(name)?;
        let is_nullable = self.nulls == Nulls::AreAbsent || field_type.is_nullable();
        if value.is_null() && is_nullable {
            return None;
        }
        field_type.read(value, &mut self.field(name))
    }

    /// A field that must be there; `None` only together with a fault.
    pub fn required<T: FieldType>(
        &mut self,
        name: &'static str,
        field_type: T,
        description: &str,
    ) -> Option<T::Output> {
        if let Some(object) = &mut self.description {
            object.required.push(name);
        } else if !self.map.contains_key(name) {
            self.field(name).fault("missing", "Field required");
        }
        self.optional(name, field_type, description)
    }

    /// A field with a value for when it is absent.
    pub fn with_default<T>(
        &mut self,
        name: &'static str,
        field_type: T,
        default: T::Output,
        description: &str,
    ) -> T::Output
    where
        T: FieldType<Output: Clone + Into<Value>>,
    {
        let field_type = absent_as(field_type, default.clone());
        self.optional(name, field_type, description).unwrap_or(default)
    }

    /// Notes a fault that only shows in the light of other fields or of the caller.
    pub fn fault(&mut self, name: &str, kind: &'static str, message: impl Into<String>) {
        self.field(name).fault(kind, message);
    }

    /// Returns all faults if there are any; a field that was not read is one.
    pub fn finish(mut self) -> Result<(), Problem> {
        self.refuse_unknown();
        if self.faults.is_empty() { Ok(()) } else { Err(Problem::Invalid(self.faults)) }
    }

    fn refuse_unknown(&mut self) {
        for name in std::mem::take(&mut self.map).keys() {
            self.field(name).fault("extra_forbidden", "there is no such field");
        }
    }

    fn field<'a>(&'a mut self, name: &'a str) -> Field<'a> {
        Field { object: &self.path, name, nulls: self.nulls, faults: &mut self.faults }
    }
}

/// A field while its value is read.
pub struct Field<'a> {
    object: &'a [String],
    name: &'a str,
    nulls: Nulls,
    faults: &'a mut Vec<Fault>,
}

impl Field<'_> {
    /// Notes a fault of this field. `kind` is one of pydantic's, which Browser Use's clients know.
    pub fn fault(&mut self, kind: &'static str, message: impl Into<String>) {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(Fault { path: self.path(), message: message.into(), kind });
        }
    }

    /// Reads an object that is this field's value.
    pub fn nested<B: Body>(&mut self, map: Map<String, Value>) -> B {
        let mut fields = Fields::new(map, self.path(), self.nulls);
        let body = B::read(&mut fields);
        fields.refuse_unknown();
        self.faults.append(&mut fields.faults);
        self.faults.truncate(MAX_FAULTS);
        body
    }

    /// Reads an element of a list that is this field's value.
    pub fn element<T: FieldType>(
        &mut self,
        index: usize,
        field_type: &T,
        value: Value,
    ) -> Option<T::Output> {
        let (object, name) = (self.path(), index.to_string());
        let (nulls, faults) = (self.nulls, &mut *self.faults);
        field_type.read(value, &mut Field { object: &object, name: &name, nulls, faults })
    }

    fn path(&self) -> Vec<String> {
        self.object.iter().cloned().chain([shown(self.name).to_owned()]).collect()
    }
}

/// The schema of an object.
pub fn describe<B: Body>() -> Value {
    let mut fields = Fields::new(Map::new(), Vec::new(), Nulls::AreValues);
    fields.description = Some(Description::default());
    B::read(&mut fields);
    let Description { properties, required } = fields.description.unwrap_or_default();
    let mut schema = json!({
        "type": "object", "additionalProperties": false, "properties": properties,
    });
    if !required.is_empty() {
        schema["required"] = required.into();
    }
    schema
}

fn describe_field(field_type: &impl FieldType, description: &str) -> Value {
    let mut schema = field_type.schema();
    let general = schema["description"].as_str().unwrap_or_default();
    let description = [general, description].join(" ").trim().to_owned();
    if let Value::Object(schema) = &mut schema {
        schema.remove("description");
        if !description.is_empty() {
            schema.insert("description".to_owned(), description.into());
        }
    }
    schema
}

/// Adds a default to a type's schema: what an absent field is treated as.
pub fn absent_as<T: FieldType>(
    field_type: T,
    default: impl Into<Value>,
) -> impl FieldType<Output = T::Output> {
    WithDefault { field_type, default: default.into() }
}

struct WithDefault<T> {
    field_type: T,
    default: Value,
}

impl<T: FieldType> FieldType for WithDefault<T> {
    type Output = T::Output;

    fn read(&self, value: Value, field: &mut Field<'_>) -> Option<T::Output> {
        self.field_type.read(value, field)
    }

    fn schema(&self) -> Value {
        let mut schema = self.field_type.schema();
        schema["default"] = self.default.clone();
        schema
    }

    fn is_nullable(&self) -> bool {
        self.field_type.is_nullable()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::front::hosted::field_types::{boolean, integer, object, one_of, text};

    struct Inner {
        f: Option<String>,
    }

    impl Body for Inner {
        fn read(fields: &mut Fields) -> Self {
            Self { f: fields.required("f", text(9), "") }
        }
    }

    fn words() -> impl FieldType<Output = char> {
        one_of([("y", 'y'), ("z", 'z')])
    }

    #[test]
    fn every_fault_is_named() {
        let body = br#"{"a": 1, "b": true, "c": 700, "d": "x", "e": {"f": "y", "g": 1}, "h": 2.0}"#;
        let mut fields = Fields::of_body(body, Nulls::AreValues).unwrap();
        assert_eq!(fields.optional("a", text(9), ""), None);
        assert_eq!(fields.optional("b", boolean(), ""), Some(true));
        assert_eq!(fields.optional("c", integer(1, 600), ""), None);
        assert_eq!(fields.optional("d", words(), ""), None);
        let inner = fields.optional("e", object::<Inner>(), "");
        assert_eq!(inner.and_then(|inner| inner.f).as_deref(), Some("y"));
        assert_eq!(fields.optional("h", integer(1, 3), ""), Some(2));
        assert_eq!(fields.optional("absent", text(9), ""), None);
        let Err(Problem::Invalid(faults)) = fields.finish() else { panic!("there are faults") };
        let found: Vec<(String, &str)> =
            faults.iter().map(|fault| (fault.name(), fault.kind)).collect();
        let expected = [
            ("a", "string_type"),
            ("c", "less_than_equal"),
            ("d", "enum"),
            ("e.g", "extra_forbidden"),
        ];
        assert_eq!(found, expected.map(|(name, kind)| (name.to_owned(), kind)));
    }

    #[test]
    fn a_body_is_an_object_or_nothing() {
        assert!(Fields::of_body(b"", Nulls::AreValues).unwrap().finish().is_ok());
        for body in [&b"[]"[..], b"{", b"null", b"\xff"] {
            assert!(Fields::of_body(body, Nulls::AreValues).is_err());
        }
        let mut fields = Fields::of_body(br#"{"a": null, "b": null}"#, Nulls::AreAbsent).unwrap();
        assert_eq!(fields.optional("a", text(1), ""), None);
        assert_eq!(fields.optional("b", integer(1, 2), ""), None);
        assert!(fields.finish().is_ok());
    }

    #[test]
    fn what_reads_an_object_describes_it() {
        struct Outer;

        impl Body for Outer {
            fn read(fields: &mut Fields) -> Self {
                fields.with_default("a", integer(1, 3), 2, "How many.");
                fields.optional("b", words(), "");
                fields.required("c", object::<Inner>(), "");
                Self
            }
        }

        assert_eq!(
            describe::<Outer>(),
            json!({
                "type": "object",
                "additionalProperties": false,
                "required": ["c"],
                "properties": {
                    "a": {"type": "integer", "minimum": 1, "maximum": 3, "default": 2, "description": "How many."},
                    "b": {"type": "string", "enum": ["y", "z"]},
                    "c": {
                        "type": "object",
                        "additionalProperties": false,
                        "required": ["f"],
                        "properties": {"f": {"type": "string", "maxLength": 9}},
                    },
                },
            })
        );
    }
}
