//! `allowedDomains`: there a domain stands for those below it, too.

use serde_json::{Value, json};

use crate::front::hosted::fields::{Field, FieldType};

/// Each becomes two patterns, of which a session has at most 128.
const MAX_DOMAINS: usize = 64;
const MAX_LENGTH: usize = 250;

/// Gives the patterns of `spec.allowedDomains`.
pub struct AllowedDomains;

impl FieldType for AllowedDomains {
    type Output = Vec<String>;

    fn read(&self, value: Value, field: &mut Field<'_>) -> Option<Vec<String>> {
        let Value::Array(domains) = value else {
            field.fault("list_type", "must be a list of domains");
            return None;
        };
        if domains.len() > MAX_DOMAINS {
            field.fault("too_long", format!("may have {MAX_DOMAINS} domains"));
            return None;
        }
        let mut patterns = Vec::with_capacity(2 * domains.len());
        for domain in domains {
            let Some(domain) = domain.as_str().filter(|domain| is_domain(domain)) else {
                field.fault(
                    "string_pattern_mismatch",
                    format!("must have domains, such as example.com; {domain} is none"),
                );
                return None;
            };
            patterns.push(domain.to_owned());
            // An address has none below it.
            if domain.parse::<std::net::IpAddr>().is_err() {
                patterns.push(format!("*.{domain}"));
            }
        }
        Some(patterns)
    }

    fn schema(&self) -> Value {
        json!({"type": "array", "maxItems": MAX_DOMAINS, "items": {"type": "string", "maxLength": MAX_LENGTH}})
    }
}

fn is_domain(text: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    !text.is_empty() && text.len() <= MAX_LENGTH && text.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::front::hosted::fields::{Fields, Nulls};

    fn read(value: &Value) -> Option<Vec<String>> {
        let body = json!({"allowedDomains": value}).to_string();
        let mut fields = Fields::of_body(body.as_bytes(), Nulls::AreValues).unwrap();
        let read = fields.optional("allowedDomains", AllowedDomains, "");
        fields.finish().is_ok().then_some(read)?
    }

    #[test]
    fn a_domain_stands_for_those_below_it() {
        let patterns = read(&json!(["example.com", "192.0.2.1"]));
        assert_eq!(
            patterns,
            Some(vec!["example.com".into(), "*.example.com".into(), "192.0.2.1".into()])
        );
        assert_eq!(read(&json!([])), Some(Vec::new()));
        for wrong in [
            json!("example.com"),
            json!([7]),
            json!([""]),
            json!(["*.example.com"]),
            json!(["https://example.com"]),
            json!(["a.example\r\n"]),
            json!(["a".repeat(251)]),
            json!(vec!["a.example"; 65]),
        ] {
            assert_eq!(read(&wrong), None, "{wrong}");
        }
    }
}
