//! The types of fields that the services have in common.

use std::{fmt::Display, marker::PhantomData};

use serde_json::{Map, Value, json};

use super::fields::{Body, Field, FieldType, describe};

/// A string of at most so many characters.
pub fn text(max_length: usize) -> Text {
    Text { max_length }
}

#[derive(Clone, Copy)]
pub struct Text {
    max_length: usize,
}

impl FieldType for Text {
    type Output = String;

    fn read(&self, value: Value, field: &mut Field<'_>) -> Option<String> {
        let Value::String(text) = value else {
            field.fault("string_type", "must be a string");
            return None;
        };
        if text.chars().count() > self.max_length {
            let message = format!("must have at most {} characters", self.max_length);
            field.fault("string_too_long", message);
            return None;
        }
        Some(text)
    }

    fn schema(&self) -> Value {
        json!({"type": "string", "maxLength": self.max_length})
    }
}

/// Text of at most so many characters that a parser takes.
pub fn parsed<V, E: Display>(
    max_length: usize,
    parse: fn(&str) -> Result<V, E>,
) -> impl FieldType<Output = String> {
    Parsed { text: text(max_length), parse }
}

struct Parsed<V, E> {
    text: Text,
    parse: fn(&str) -> Result<V, E>,
}

impl<V, E: Display> FieldType for Parsed<V, E> {
    type Output = String;

    fn read(&self, value: Value, field: &mut Field<'_>) -> Option<String> {
        let text = self.text.read(value, field)?;
        match (self.parse)(&text) {
            Ok(_) => Some(text),
            Err(error) => {
                field.fault("value_error", error.to_string());
                None
            }
        }
    }

    fn schema(&self) -> Value {
        self.text.schema()
    }
}

/// The code of a country or a state.
pub fn letters() -> impl FieldType<Output = String> {
    Letters
}

struct Letters;

impl FieldType for Letters {
    type Output = String;

    fn read(&self, value: Value, field: &mut Field<'_>) -> Option<String> {
        match value {
            Value::String(text)
                if text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic()) =>
            {
                Some(text)
            }
            _ => {
                field.fault("enum", "must be two letters");
                None
            }
        }
    }

    fn schema(&self) -> Value {
        json!({"type": "string", "minLength": 2, "maxLength": 2})
    }
}

pub fn uuid() -> impl FieldType<Output = String> {
    Uuid
}

struct Uuid;

impl FieldType for Uuid {
    type Output = String;

    fn read(&self, value: Value, field: &mut Field<'_>) -> Option<String> {
        match value {
            Value::String(text) if uuid::Uuid::try_parse(&text).is_ok() => Some(text),
            _ => {
                field.fault("uuid_parsing", "must be a UUID");
                None
            }
        }
    }

    fn schema(&self) -> Value {
        json!({"type": "string", "format": "uuid"})
    }
}

pub fn boolean() -> impl FieldType<Output = bool> {
    Boolean
}

struct Boolean;

impl FieldType for Boolean {
    type Output = bool;

    fn read(&self, value: Value, field: &mut Field<'_>) -> Option<bool> {
        if !value.is_boolean() {
            field.fault("bool_type", "must be true or false");
        }
        value.as_bool()
    }

    fn schema(&self) -> Value {
        json!({"type": "boolean"})
    }
}

/// A whole number in a range, also written as `2.0` (JSON Schema, "integer").
pub fn integer(minimum: i32, maximum: i32) -> Integer {
    Integer { minimum, maximum, why: "" }
}

#[derive(Clone, Copy)]
pub struct Integer {
    minimum: i32,
    maximum: i32,
    /// Why no other is allowed; may be empty.
    why: &'static str,
}

impl Integer {
    /// The same range, with a reason for whoever wants another.
    pub fn because(self, why: &'static str) -> Self {
        Self { why, ..self }
    }
}

impl FieldType for Integer {
    type Output = i32;

    fn read(&self, value: Value, field: &mut Field<'_>) -> Option<i32> {
        let number = value.as_i64().or_else(|| {
            let number = value.as_f64().filter(|number| number.fract() == 0.0)?;
            // What does not fit is out of every range here.
            Some(if number.abs() < 1e15 { number as i64 } else { i64::MAX })
        });
        let Some(number) = number else {
            field.fault("int_type", "must be a whole number");
            return None;
        };
        let Self { minimum, maximum, why } = *self;
        let in_range = i32::try_from(number).ok().filter(|n| (minimum..=maximum).contains(n));
        if in_range.is_none() {
            let kind =
                if number < i64::from(minimum) { "greater_than_equal" } else { "less_than_equal" };
            let colon = if why.is_empty() { "" } else { ": " };
            field.fault(kind, format!("must be from {minimum} to {maximum}{colon}{why}"));
        }
        in_range
    }

    fn schema(&self) -> Value {
        json!({"type": "integer", "minimum": self.minimum, "maximum": self.maximum})
    }
}

/// One of these words, each with what it stands for.
pub fn one_of<V: Clone>(
    words: impl IntoIterator<Item = (&'static str, V)>,
) -> impl FieldType<Output = V> {
    OneOf { words: words.into_iter().collect() }
}

struct OneOf<V> {
    words: Vec<(&'static str, V)>,
}

impl<V> OneOf<V> {
    fn names(&self) -> Vec<&'static str> {
        self.words.iter().map(|(word, _)| *word).collect()
    }
}

impl<V: Clone> FieldType for OneOf<V> {
    type Output = V;

    fn read(&self, value: Value, field: &mut Field<'_>) -> Option<V> {
        let found = self.words.iter().find(|(word, _)| value == *word);
        if found.is_none() {
            field.fault("enum", format!("must be one of {}", self.names().join(", ")));
        }
        found.map(|(_, meaning)| meaning.clone())
    }

    fn schema(&self) -> Value {
        json!({"type": "string", "enum": self.names()})
    }
}

/// An object with fields of its own.
pub fn object<B: Body>() -> impl FieldType<Output = B> {
    Object(PhantomData)
}

struct Object<B>(PhantomData<B>);

impl<B: Body> FieldType for Object<B> {
    type Output = B;

    fn read(&self, value: Value, field: &mut Field<'_>) -> Option<B> {
        let map = free_object().read(value, field)?;
        Some(field.nested(map))
    }

    fn schema(&self) -> Value {
        describe::<B>()
    }
}

/// An object of whatever its sender likes.
pub fn free_object() -> impl FieldType<Output = Map<String, Value>> {
    FreeObject
}

struct FreeObject;

impl FieldType for FreeObject {
    type Output = Map<String, Value>;

    fn read(&self, value: Value, field: &mut Field<'_>) -> Option<Self::Output> {
        match value {
            Value::Object(map) => Some(map),
            _ => {
                field.fault("dict_type", "must be an object");
                None
            }
        }
    }

    fn schema(&self) -> Value {
        json!({"type": "object", "additionalProperties": true})
    }
}

/// Null is as if the field were absent, and the schema says so.
pub fn nullable<T: FieldType>(field_type: T) -> impl FieldType<Output = T::Output> {
    Nullable(field_type)
}

struct Nullable<T>(T);

impl<T: FieldType> FieldType for Nullable<T> {
    type Output = T::Output;

    fn read(&self, value: Value, field: &mut Field<'_>) -> Option<T::Output> {
        self.0.read(value, field)
    }

    fn schema(&self) -> Value {
        let mut schema = self.0.schema();
        schema["nullable"] = true.into();
        schema
    }

    fn is_nullable(&self) -> bool {
        true
    }
}
