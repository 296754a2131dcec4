//! The list's query `q`: `user_metadata['key']:'value'`.

use serde_json::{Map, Value};

use crate::front::hosted::{problem::Problem, records::Record};

/// A path into a session's metadata, and the value that must be there.
pub struct MetadataQuery {
    path: Vec<String>,
    value: String,
}

/// A key may be nested: `user_metadata['a']['b']:'value'`.
pub fn parse(text: &str) -> Result<MetadataQuery, Problem> {
    let malformed = || {
        let message = "must be of the form user_metadata['key']:'value'";
        Problem::invalid(&["query", "q"], "value_error", message)
    };
    let rest = text.trim().strip_prefix("user_metadata").ok_or_else(malformed)?;
    let (keys, value) = rest.split_once("]:").ok_or_else(malformed)?;
    let unquoted = |text: &str| {
        let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
        Some(text.strip_prefix(quote)?.strip_suffix(quote)?.to_owned())
    };
    let value = unquoted(value.trim()).ok_or_else(malformed)?;
    let path: Option<Vec<String>> =
        keys.trim().strip_prefix('[').ok_or_else(malformed)?.split("][").map(unquoted).collect();
    Ok(MetadataQuery { path: path.ok_or_else(malformed)?, value })
}

impl MetadataQuery {
    pub fn matches(&self, record: &Record) -> bool {
        record.object.spec.user_metadata.as_ref().is_some_and(|metadata| self.is_in(metadata))
    }

    fn is_in(&self, metadata: &Map<String, Value>) -> bool {
        let mut path = self.path.iter();
        let first = path.next().and_then(|key| metadata.get(key));
        let found = path.fold(first, |value, key| value?.get(key));
        found.is_some_and(|value| match value {
            Value::String(text) => *text == self.value,
            Value::Number(number) => number.to_string() == self.value,
            Value::Bool(yes) => self.value == if *yes { "true" } else { "false" },
            _ => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn metadata_are_searched_by_key_and_value() {
        let metadata = json!({"env": "prod", "build": 4711, "deep": {"a": "b:c"}});
        let metadata = metadata.as_object().unwrap();
        for (q, expected) in [
            ("user_metadata['env']:'prod'", true),
            ("user_metadata[\"env\"]:\"prod\"", true),
            ("user_metadata['env']:'dev'", false),
            ("user_metadata['build']:'4711'", true),
            ("user_metadata['deep']['a']:'b:c'", true),
            ("user_metadata['deep']['x']:'b'", false),
        ] {
            match parse(q) {
                Ok(query) => assert_eq!(query.is_in(metadata), expected, "{q}"),
                Err(_) => assert!(!expected, "{q}"),
            }
        }
        for q in ["", "env=prod", "user_metadata", "user_metadata[env]:prod", "user_metadata['a'"] {
            assert!(parse(q).is_err(), "{q}");
        }
    }
}
