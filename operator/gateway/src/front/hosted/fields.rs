//! Reading a body, field by field: every fault is found and named, and a field that nobody has read is one.

use serde_json::{Map, Value};

use super::problem::{Fault, Problem};

/// One object of a body.
pub struct Fields {
    map: Map<String, Value>,
    path: Vec<String>,
    faults: Vec<Fault>,
    /// Whether null is as if absent: Browser Use says of most fields that it is.
    nullable: bool,
}

impl Fields {
    /// A body; an empty one is as an empty object.
    ///
    /// # Errors
    /// It is no JSON, or no object.
    pub fn of_body(body: &[u8], nullable: bool) -> Result<Self, Problem> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self::new(Map::new(), vec!["body".to_owned()], nullable));
        }
        match serde_json::from_slice(body) {
            Ok(Value::Object(map)) => Ok(Self::new(map, vec!["body".to_owned()], nullable)),
            Ok(_) => Err(Problem::fault(&["body"], "dict_type", "the body must be a JSON object")),
            Err(error) => Err(Problem::fault(
                &["body"],
                "json_invalid",
                format!("the body is no JSON: {error}"),
            )),
        }
    }

    fn new(map: Map<String, Value>, path: Vec<String>, nullable: bool) -> Self {
        Self { map, path, faults: Vec::new(), nullable }
    }

    /// Names of another spelling become those that are read here.
    pub fn rename(&mut self, rename: impl Fn(&str) -> Option<String>) {
        let renamed: Vec<(String, String)> =
            self.map.keys().filter_map(|name| Some((name.clone(), rename(name)?))).collect();
        for (old, new) in renamed {
            if let Some(value) = self.map.remove(&old) {
                self.map.entry(new).or_insert(value);
            }
        }
    }

    /// Puts a value back, for another look at it.
    pub fn put(&mut self, name: &str, value: Value) {
        self.map.insert(name.to_owned(), value);
    }

    /// Null of this field asks for nothing.
    pub fn null_is_absent(&mut self, name: &str) {
        if self.map.get(name).is_some_and(Value::is_null) {
            self.map.remove(name);
        }
    }

    /// Whether there is such a field.
    pub fn has(&self, name: &str) -> bool {
        self.map.contains_key(name)
    }

    /// Notes a fault of a field here.
    pub fn fault(&mut self, name: &str, kind: &'static str, message: impl Into<String>) {
        let mut path = self.path.clone();
        path.extend((!name.is_empty()).then(|| name.to_owned()));
        self.faults.push(Fault { path, message: message.into(), kind });
    }

    /// A value as it is.
    pub fn value(&mut self, name: &str) -> Option<Value> {
        self.map.remove(name).filter(|value| !(self.nullable && value.is_null()))
    }

    fn typed<T>(
        &mut self,
        name: &str,
        kind: &'static str,
        what: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Option<T> {
        let value = self.value(name)?;
        let read = read(&value);
        if read.is_none() {
            self.fault(name, kind, format!("must be {what}"));
        }
        read
    }

    /// A text of at most so many characters.
    pub fn text(&mut self, name: &str, most: usize) -> Option<String> {
        let text = self.typed(name, "string_type", "a string", |value| {
            value.as_str().map(ToOwned::to_owned)
        })?;
        if text.chars().count() > most {
            self.fault(name, "string_too_long", format!("must have at most {most} characters"));
            return None;
        }
        Some(text)
    }

    /// A UUID.
    pub fn uuid(&mut self, name: &str) -> Option<String> {
        self.typed(name, "uuid_parsing", "a UUID", |value| {
            value.as_str().filter(|text| uuid::Uuid::try_parse(text).is_ok()).map(ToOwned::to_owned)
        })
    }

    /// true or false.
    pub fn boolean(&mut self, name: &str) -> Option<bool> {
        self.typed(name, "bool_type", "true or false", Value::as_bool)
    }

    /// A whole number in a range.
    pub fn integer(&mut self, name: &str, least: i32, most: i32) -> Option<i32> {
        let number = self.typed(name, "int_type", "a whole number", |value| {
            value.as_i64().or_else(|| {
                let number = value.as_f64().filter(|number| number.fract() == 0.0)?;
                // What is no i64 is out of every range here.
                Some(if number.abs() < 1e15 { number as i64 } else { i64::MAX })
            })
        })?;
        match i32::try_from(number).ok().filter(|number| (least..=most).contains(number)) {
            Some(number) => Some(number),
            None => {
                let kind = if number < i64::from(least) {
                    "greater_than_equal"
                } else {
                    "less_than_equal"
                };
                self.fault(name, kind, format!("must be from {least} to {most}"));
                None
            }
        }
    }

    /// One of these words.
    pub fn word(&mut self, name: &str, words: &[&'static str]) -> Option<&'static str> {
        let value = self.value(name)?;
        let word = value.as_str().and_then(|text| words.iter().copied().find(|word| *word == text));
        if word.is_none() {
            self.fault(name, "enum", format!("must be one of {}", words.join(", ")));
        }
        word
    }

    /// A free object.
    pub fn object(&mut self, name: &str) -> Option<Map<String, Value>> {
        self.typed(name, "dict_type", "an object", |value| value.as_object().cloned())
    }

    /// An object with fields of its own, which `read` reads; its faults are found here.
    pub fn nested<T>(&mut self, name: &str, read: impl FnOnce(&mut Fields) -> T) -> Option<T> {
        let map = self.object(name)?;
        let path = self.path.iter().cloned().chain([name.to_owned()]);
        let mut inner = Self::new(map, path.collect(), self.nullable);
        let result = read(&mut inner);
        inner.no_more();
        self.faults.append(&mut inner.faults);
        Some(result)
    }

    /// A field that must be there is not.
    pub fn missing(&mut self, name: &str) {
        self.fault(name, "missing", "Field required");
    }

    fn no_more(&mut self) {
        let unknown: Vec<String> =
            std::mem::take(&mut self.map).into_iter().map(|(name, _)| name).collect();
        for name in unknown {
            self.fault(&name, "extra_forbidden", "there is no such field");
        }
    }

    /// That was all.
    ///
    /// # Errors
    /// The faults, with those fields that nobody has read.
    pub fn done(mut self) -> Result<(), Problem> {
        self.no_more();
        if self.faults.is_empty() { Ok(()) } else { Err(Problem::Invalid(self.faults)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_named() {
        let body = br#"{"a": 1, "b": true, "c": 700, "d": "x", "e": {"f": "y", "g": 1}, "h": 2.0}"#;
        let mut fields = Fields::of_body(body, false).unwrap();
        assert_eq!(fields.text("a", 9), None);
        assert_eq!(fields.boolean("b"), Some(true));
        assert_eq!(fields.integer("c", 1, 600), None);
        assert_eq!(fields.word("d", &["y", "z"]), None);
        assert_eq!(fields.nested("e", |e| e.text("f", 9)), Some(Some("y".to_owned())));
        assert_eq!(fields.integer("h", 1, 3), Some(2));
        assert_eq!(fields.text("absent", 9), None);
        let Err(Problem::Invalid(faults)) = fields.done() else { panic!("there are faults") };
        let told: Vec<(String, &str)> =
            faults.iter().map(|fault| (fault.name(), fault.kind)).collect();
        let expected = [
            ("a", "string_type"),
            ("c", "less_than_equal"),
            ("d", "enum"),
            ("e.g", "extra_forbidden"),
        ];
        assert_eq!(told, expected.map(|(name, kind)| (name.to_owned(), kind)));
    }

    #[test]
    fn a_body_is_an_object_or_nothing() {
        assert!(Fields::of_body(b"", false).unwrap().done().is_ok());
        for body in [&b"[]"[..], b"{", b"null", b"\xff"] {
            assert!(Fields::of_body(body, false).is_err());
        }
        let mut fields = Fields::of_body(br#"{"a": null, "b": null}"#, true).unwrap();
        assert_eq!(fields.text("a", 1), None);
        assert_eq!(fields.integer("b", 1, 2), None);
        assert!(fields.done().is_ok());
    }
}
