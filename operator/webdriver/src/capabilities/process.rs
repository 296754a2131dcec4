//! "process capabilities": validating and merging.

use serde_json::Value;

use super::{
    bounds::{MAX_ALTERNATIVES, check_size},
    set::CapabilitySet,
    validate::{Dialect, validate_one},
};
use crate::error::WebDriverError;

/// The validated value of `capabilities`: the sets to try, which are merged one at a time when somebody looks at them.
#[derive(Clone, Copy, Debug)]
pub struct Requested<'a> {
    required: Option<&'a CapabilitySet>,
    /// `None`: there is no `firstMatch`, which counts as one empty alternative.
    alternatives: Option<&'a [Value]>,
    dialect: Dialect,
}

impl<'a> Requested<'a> {
    /// The merged sets in their order.
    pub fn sets(self) -> impl Iterator<Item = CapabilitySet> + 'a {
        let count = self.alternatives.map_or(1, <[Value]>::len);
        (0..count).filter_map(move |index| self.set(index))
    }

    /// One of the merged sets; the first is 0.
    #[must_use]
    pub fn set(self, index: usize) -> Option<CapabilitySet> {
        let alternative = match self.alternatives {
            Some(alternatives) => Some(alternatives.get(index)?.as_object()?),
            None if index == 0 => None,
            None => return None,
        };
        let members = self.required.into_iter().chain(alternative).flatten();
        let kept = members.filter(|(_, value)| counts(value, self.dialect));
        Some(kept.map(|(name, value)| (name.clone(), value.clone())).collect())
    }
}

/// Validates the value of `capabilities` ("process capabilities", steps 1 to 5). Every entry is looked at before the first is
/// tried, and none is copied.
///
/// # Errors
/// `invalid argument` with the name of what is wrong.
pub fn process(capabilities: &Value, dialect: Dialect) -> Result<Requested<'_>, WebDriverError> {
    let Value::Object(members) = capabilities else {
        return Err(invalid("capabilities must be an object"));
    };
    // Before the size: of the many ways to be too large this one has a name.
    let alternatives = members.get("firstMatch");
    if let Some(Value::Array(list)) = alternatives
        && list.len() > MAX_ALTERNATIVES
    {
        let length = list.len();
        return Err(invalid(format!(
            "firstMatch has {length} entries; it may have {MAX_ALTERNATIVES}"
        )));
    }
    check_size(capabilities).map_err(|what| invalid(format!("capabilities {what}")))?;
    let required = match members.get("alwaysMatch") {
        None => None,
        Some(set) => Some(validate(set, "alwaysMatch", dialect)?),
    };
    let alternatives = match alternatives {
        None => None,
        Some(Value::Array(list)) if !list.is_empty() => Some(list.as_slice()),
        Some(_) => return Err(invalid("firstMatch must be a list of one or more objects")),
    };
    for (index, set) in alternatives.into_iter().flatten().enumerate() {
        validate(set, &format!("firstMatch[{index}]"), dialect)?;
    }
    let objects = alternatives.into_iter().flatten().filter_map(Value::as_object);
    for (index, alternative) in objects.enumerate() {
        check_merge(required, alternative, index, dialect)?;
    }
    Ok(Requested { required, alternatives, dialect })
}

/// "merge capabilities": a name in both is wrong, even with equal values.
fn check_merge(
    required: Option<&CapabilitySet>,
    alternative: &CapabilitySet,
    index: usize,
    dialect: Dialect,
) -> Result<(), WebDriverError> {
    let has =
        |set: &CapabilitySet, name: &str| set.get(name).is_some_and(|value| counts(value, dialect));
    let shared = alternative.keys().find(|name| {
        has(alternative, name) && required.is_some_and(|required| has(required, name))
    });
    match shared {
        None => Ok(()),
        Some(name) => Err(invalid(format!(
            "{name} is in alwaysMatch and in firstMatch[{index}]; it may be in one of them"
        ))),
    }
}

/// "validate capabilities".
fn validate<'a>(
    set: &'a Value,
    path: &str,
    dialect: Dialect,
) -> Result<&'a CapabilitySet, WebDriverError> {
    let Value::Object(set) = set else {
        return Err(invalid(format!("{path} must be an object")));
    };
    for (name, value) in set {
        if counts(value, dialect) {
            validate_one(name, value, dialect)
                .map_err(|what| invalid(format!("{path}.{name} {what}")))?;
        }
    }
    Ok(set)
}

/// In Classic a capability of null counts as absent.
fn counts(value: &Value, dialect: Dialect) -> bool {
    !value.is_null() || dialect == Dialect::Bidi
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
        Ok(process(&capabilities, Dialect::Classic)?.sets().collect())
    }

    #[test]
    fn a_small_request_never_becomes_many_large_sets() {
        let large = json!({"a:b": "x".repeat(50_000)});
        for (alternatives, named) in [(33, "firstMatch has 33 entries"), (30_000, "it may have 32")]
        {
            let error = classic(json!({
                "alwaysMatch": large, "firstMatch": vec![json!({}); alternatives],
            }));
            let error = error.expect_err("there are too many");
            assert_eq!(error.code, ErrorCode::InvalidArgument);
            assert!(error.message.contains(named), "{}", error.message);
        }
        let capabilities = json!({"alwaysMatch": large, "firstMatch": vec![json!({}); 32]});
        let requested = process(&capabilities, Dialect::Classic).unwrap();
        assert_eq!(requested.sets().count(), 32);
        assert_eq!(requested.set(32), None);
        let error = classic(json!({"alwaysMatch": {"a:b": "x".repeat(70_000)}})).unwrap_err();
        assert!(error.message.contains("65536 bytes"), "{}", error.message);
    }

    #[test]
    fn every_entry_is_validated_before_any_is_merged() {
        let error = classic(json!({
            "alwaysMatch": {"browserName": "a"},
            "firstMatch": [{"browserName": "a"}, {"pageLoadStrategy": 1}],
        }));
        assert!(error.unwrap_err().message.contains("firstMatch[1].pageLoadStrategy"));
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
