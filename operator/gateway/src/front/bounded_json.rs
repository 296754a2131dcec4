//! JSON that a client sends. What nests too deep or holds too many values is refused, by the field's name, before it takes memory: a
//! value of two bytes becomes one of dozens.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;

/// How many levels of objects and lists a field may have: the API server takes more than its clients can read.
pub const MAX_DEPTH: usize = 32;
/// How many values a body may have, those inside of others included.
pub const MAX_VALUES: usize = 4096;
/// How much of a field's name a message has: so many parts, each of so many characters.
const NAMED_PARTS: usize = 4;
const NAMED_LENGTH: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the body is no JSON: {0}")]
    Malformed(String),
    #[error("{0} has more than {MAX_DEPTH} levels of objects and lists")]
    TooDeep(String),
    #[error("{0}: the body has more than {MAX_VALUES} values")]
    TooMany(String),
}

/// Reads a body.
pub fn parse(body: &[u8]) -> Result<Value, Error> {
    check(body)?;
    serde_json::from_slice(body).map_err(|error| Error::Malformed(error.to_string()))
}

/// Checks a body without keeping anything of it.
pub fn check(body: &[u8]) -> Result<(), Error> {
    let mut scan = Scan { left: MAX_VALUES, fault: None, path: Vec::new() };
    let mut reader = serde_json::Deserializer::from_slice(body);
    let scanned =
        Level { scan: &mut scan, depth: 0 }.deserialize(&mut reader).and_then(|()| reader.end());
    let Err(error) = scanned else { return Ok(()) };
    let name = scan.name();
    Err(match scan.fault {
        Some(Fault::Depth) => Error::TooDeep(name),
        Some(Fault::Values) => Error::TooMany(name),
        None => Error::Malformed(error.to_string()),
    })
}

enum Fault {
    Depth,
    Values,
}

struct Scan {
    /// How many values may still come.
    left: usize,
    fault: Option<Fault>,
    /// The names on the way to the fault, the innermost first.
    path: Vec<String>,
}

impl Scan {
    fn name(&self) -> String {
        let mut names: Vec<&str> =
            self.path.iter().rev().take(NAMED_PARTS).map(String::as_str).collect();
        if self.path.len() > NAMED_PARTS {
            names.push("...");
        }
        if names.is_empty() { "the body".to_owned() } else { names.join(".") }
    }

    fn fail<E: serde::de::Error>(&mut self, fault: Fault) -> E {
        self.fault = Some(fault);
        E::custom("out of bounds")
    }

    /// Notes that the fault lies within a field.
    fn passes(&mut self, name: impl FnOnce() -> String) {
        if self.fault.is_some() {
            self.path.push(name());
        }
    }
}

/// A value inside of so many others.
struct Level<'a> {
    scan: &'a mut Scan,
    depth: usize,
}

impl Level<'_> {
    /// The level below, if there may be one.
    fn enter<E: serde::de::Error>(&mut self) -> Result<usize, E> {
        if self.depth > MAX_DEPTH {
            return Err(self.scan.fail(Fault::Depth));
        }
        Ok(self.depth + 1)
    }
}

impl<'de> DeserializeSeed<'de> for Level<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.scan.left.checked_sub(1) {
            Some(left) => self.scan.left = left,
            None => return Err(self.scan.fail(Fault::Values)),
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let depth = self.enter()?;
        while let Some(Key(key)) = map.next_key()? {
            let value = Level { scan: self.scan, depth };
            if let Err(error) = map.next_value_seed(value) {
                self.scan.passes(|| key.chars().take(NAMED_LENGTH).collect());
                return Err(error);
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        let depth = self.enter()?;
        let mut index = 0_usize;
        loop {
            match list.next_element_seed(Level { scan: self.scan, depth }) {
                Ok(Some(())) => index += 1,
                Ok(None) => return Ok(()),
                Err(error) => {
                    self.scan.passes(|| index.to_string());
                    return Err(error);
                }
            }
        }
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// A member's name, borrowed where it holds no escape.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn nested(depth: usize) -> String {
        format!("{}1{}", "[".repeat(depth), "]".repeat(depth))
    }

    #[test]
    fn a_field_may_nest_so_deep_and_no_deeper() {
        let body = format!(r#"{{"userMetadata": {}}}"#, nested(MAX_DEPTH));
        assert!(parse(body.as_bytes()).is_ok());
        for depth in [MAX_DEPTH + 1, 127, 200, 9_900, 100_000] {
            let body =
                format!(r#"{{"a": 1, "capabilities": {{"firstMatch": {}}}}}"#, nested(depth));
            let error = parse(body.as_bytes()).unwrap_err();
            assert_eq!(
                error.to_string(),
                "capabilities.firstMatch.0.0.... has more than 32 levels of objects and lists",
                "{depth}"
            );
        }
    }

    #[test]
    fn a_body_may_hold_so_many_values_and_no_more() {
        // The body and the list are values, too.
        let list = |n: usize| format!(r#"{{"firstMatch": [{}]}}"#, vec!["{}"; n].join(","));
        assert!(parse(list(MAX_VALUES - 2).as_bytes()).is_ok());
        let error = parse(list(MAX_VALUES - 1).as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), "firstMatch.4094: the body has more than 4096 values");
        let members: String = (0..MAX_VALUES).map(|n| format!(r#""{n}":0,"#)).collect();
        assert!(matches!(
            parse(format!("{{{members}\"x\":1}}").as_bytes()),
            Err(Error::TooMany(name)) if name == "4095"
        ));
    }

    #[test]
    fn a_long_name_is_cut_and_an_escaped_one_read() {
        let name = "x".repeat(1000);
        let error = parse(format!(r#"{{"{name}": {}}}"#, nested(40)).as_bytes()).unwrap_err();
        assert!(error.to_string().len() < 200, "{error}");
        let error = parse(format!(r#"{{"\u0061": {}}}"#, nested(40)).as_bytes()).unwrap_err();
        assert!(error.to_string().starts_with("a.0."), "{error}");
    }

    #[test]
    fn what_is_read_is_what_serde_reads() {
        let body = json!({"a": [1, -1, 1.5, "b", null, true, {"c\n": {}}], "d": u64::MAX});
        assert_eq!(parse(body.to_string().as_bytes()), Ok(body));
        for malformed in ["", "{", "{}{}", "[1,]", "\u{feff}{}", "{\"a\":}", "1e999"] {
            assert!(matches!(parse(malformed.as_bytes()), Err(Error::Malformed(_))), "{malformed}");
        }
        assert!(matches!(parse(b"{\"a\": \"\xff\"}"), Err(Error::Malformed(_))));
    }
}
