//! "process capabilities": validating and merging.

use serde_json::Value;

use super::{
    set::CapabilitySet,
    validate::{Dialect, validate_one},
};
use crate::error::WebDriverError;

/// Validates and merges the value of `capabilities` into the sets to try, in order ("process capabilities",
/// steps 1 to 5). Every entry is looked at before the first is tried.
///
/// # Errors
/// `invalid argument` with the name of what is wrong.
pub fn process(
    capabilities: &Value,
    dialect: Dialect,
) -> Result<Vec<CapabilitySet>, WebDriverError> {
    let Value::Object(capabilities) = capabilities else {
        return Err(invalid("capabilities must be an object"));
    };
    let required = match capabilities.get("alwaysMatch") {
        None => CapabilitySet::new(),
        Some(set) => validate(set, "alwaysMatch", dialect)?,
    };
    let alternatives = match capabilities.get("firstMatch") {
        None => vec![CapabilitySet::new()],
        Some(Value::Array(sets)) if !sets.is_empty() => sets
            .iter()
            .enumerate()
            .map(|(i, set)| validate(set, &format!("firstMatch[{i}]"), dialect))
            .collect::<Result<_, _>>()?,
        Some(_) => return Err(invalid("firstMatch must be a list of one or more objects")),
    };
    alternatives
        .into_iter()
        .enumerate()
        .map(|(i, alternative)| merge(&required, alternative, i))
        .collect()
}

/// "merge capabilities": a name in both is wrong, even with equal values.
fn merge(
    required: &CapabilitySet,
    alternative: CapabilitySet,
    index: usize,
) -> Result<CapabilitySet, WebDriverError> {
    let mut merged = required.clone();
    for (name, value) in alternative {
        if merged.contains_key(&name) {
            return Err(invalid(format!(
                "{name} is in alwaysMatch and in firstMatch[{index}]; it may be in one of them"
            )));
        }
        merged.insert(name, value);
    }
    Ok(merged)
}

/// "validate capabilities".
fn validate(set: &Value, path: &str, dialect: Dialect) -> Result<CapabilitySet, WebDriverError> {
    let Value::Object(set) = set else {
        return Err(invalid(format!("{path} must be an object")));
    };
    let mut valid = CapabilitySet::new();
    for (name, value) in set {
        if value.is_null() && dialect == Dialect::Classic {
            continue;
        }
        validate_one(name, value, dialect)
            .map_err(|what| invalid(format!("{path}.{name} {what}")))?;
        valid.insert(name.clone(), value.clone());
    }
    Ok(valid)
}

fn invalid(message: impl Into<String>) -> WebDriverError {
    WebDriverError::invalid_argument(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;
    use serde_json::json;

    fn classic(capabilities: Value) -> Result<Vec<CapabilitySet>, WebDriverError> {
        process(&capabilities, Dialect::Classic)
    }

    #[test]
    fn sets_are_merged_in_order() {
        let sets = classic(json!({
            "alwaysMatch": {"browserName": "chrome", "acceptInsecureCerts": null},
            "firstMatch": [{"pageLoadStrategy": "eager"}, {}],
        }))
        .unwrap();
        assert_eq!(
            json!(sets),
            json!([{"browserName": "chrome", "pageLoadStrategy": "eager"}, {"browserName": "chrome"}])
        );
        assert_eq!(classic(json!({})).unwrap(), [CapabilitySet::new()]);
    }

    #[test]
    fn malformed_capabilities_are_refused_by_name() {
        for (capabilities, named) in [
            (json!(null), "capabilities"),
            (json!([]), "capabilities"),
            (json!({"alwaysMatch": null}), "alwaysMatch"),
            (json!({"firstMatch": []}), "firstMatch"),
            (json!({"firstMatch": null}), "firstMatch"),
            (json!({"firstMatch": [{}, 1]}), "firstMatch[1]"),
            (json!({"alwaysMatch": {"browserName": 1}}), "alwaysMatch.browserName"),
            (json!({"alwaysMatch": {"setWindowRect": true}}), "setWindowRect"),
            (json!({"alwaysMatch": {"desired": 1}}), "desired"),
            (json!({"alwaysMatch": {"pageLoadStrategy": "Eager"}}), "pageLoadStrategy"),
            (json!({"alwaysMatch": {"acceptInsecureCerts": "true"}}), "acceptInsecureCerts"),
            (json!({"alwaysMatch": {"timeouts": {"invalid": 1}}}), "timeouts"),
            (json!({"alwaysMatch": {"timeouts": {"script": 2.5}}}), "script"),
            (json!({"alwaysMatch": {"timeouts": {"script": -1}}}), "script"),
            (
                json!({"alwaysMatch": {"timeouts": {"implicit": 9_007_199_254_740_992_u64}}}),
                "implicit",
            ),
            (json!({"alwaysMatch": {"proxy": {}}}), "proxyType"),
            (json!({"alwaysMatch": {"proxy": {"proxyType": "pac"}}}), "proxyAutoconfigUrl"),
            (
                json!({"alwaysMatch": {"proxy": {"proxyType": "manual", "ftpProxy": "a"}}}),
                "ftpProxy",
            ),
            (
                json!({"alwaysMatch": {"proxy": {"proxyType": "manual", "httpProxy": "http://a"}}}),
                "httpProxy",
            ),
            (
                json!({"alwaysMatch": {"proxy": {"proxyType": "manual", "socksProxy": "a:1"}}}),
                "socksVersion",
            ),
            (json!({"alwaysMatch": {"proxy": {"proxyType": "manual", "noProxy": "a"}}}), "noProxy"),
            (
                json!({"alwaysMatch": {"unhandledPromptBehavior": "ignore it"}}),
                "unhandledPromptBehavior",
            ),
            (json!({"alwaysMatch": {"unhandledPromptBehavior": {"popup": "ignore"}}}), "popup"),
            (
                json!({"alwaysMatch": {"browserName": "a"}, "firstMatch": [{}, {"browserName": "a"}]}),
                "browserName",
            ),
        ] {
            let error = classic(capabilities.clone()).expect_err(&capabilities.to_string());
            assert_eq!(error.code, ErrorCode::InvalidArgument);
            assert!(error.message.contains(named), "{capabilities}: {}", error.message);
        }
    }

    #[test]
    fn well_formed_capabilities_are_accepted() {
        for set in [
            json!({"timeouts": {"script": null, "pageLoad": 2.0, "implicit": 0}}),
            json!({"proxy": {"proxyType": "manual", "httpProxy": "proxy:3128", "noProxy": ["a"]}}),
            json!({"proxy": {"proxyType": "manual", "socksProxy": "[::1]:1080", "socksVersion": 5}}),
            json!({"proxy": {"proxyType": "pac", "proxyAutoconfigUrl": "http://a/p.pac"}}),
            json!({"unhandledPromptBehavior": "dismiss and notify"}),
            json!({"unhandledPromptBehavior": {"alert": "accept", "default": "ignore"}}),
            json!({"unhandledPromptBehavior": {}}),
            json!({"vendor:anything": 1}),
            json!({"unknown": null}),
        ] {
            let capabilities = json!({"alwaysMatch": set});
            assert!(classic(capabilities.clone()).is_ok(), "{capabilities}");
        }
    }

    #[test]
    fn bidi_has_its_own_grammar_for_prompts_and_null() {
        for set in [
            json!({"unhandledPromptBehavior": "ignore"}),
            json!({"unhandledPromptBehavior": {"alert": "accept and notify"}}),
            json!({"browserName": null}),
        ] {
            let capabilities = json!({"alwaysMatch": set});
            assert!(process(&capabilities, Dialect::Bidi).is_err(), "{capabilities}");
        }
        let ok = json!({"alwaysMatch": {"unhandledPromptBehavior": {"default": "ignore"}}});
        assert!(process(&ok, Dialect::Bidi).is_ok());
    }
}
