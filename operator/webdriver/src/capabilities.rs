//! Capability processing (WebDriver, section "Capabilities"): validate all, merge all, then match in order.

use serde_json::{Map, Value};
use url::Url;

use crate::{
    browser_version,
    error::WebDriverError,
    number::{MAX_SAFE_INTEGER, whole_number},
};

/// One set of capabilities.
pub type CapabilitySet = Map<String, Value>;

/// The prefix of the operator's own capabilities; they are never forwarded to a driver.
pub const OWN_PREFIX: &str = "browser-operator:";
/// The prefix of Selenium's; they are between its client and its server, which we are.
pub const SELENIUM_PREFIX: &str = "se:";

/// The members of New Session's body that are about capabilities: WebDriver's own, and those of before the standard,
/// which drivers still believe. All others are parameters, which "must be forwarded" as they are.
pub const CAPABILITY_PARAMETERS: [&str; 3] =
    ["capabilities", "desiredCapabilities", "requiredCapabilities"];

/// Which protocol's New Session asks; their grammars differ in two places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// WebDriver Classic: null values are dropped, prompt behaviour may be a string.
    Classic,
    /// WebDriver BiDi: null values are wrong, prompt behaviour is a map (BiDi, session.CapabilityRequest).
    Bidi,
}

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

fn validate_one(name: &str, value: &Value, dialect: Dialect) -> Result<(), String> {
    match name {
        "acceptInsecureCerts" | "strictFileInteractability" | "webSocketUrl" => {
            require(value.is_boolean(), "must be true or false")
        }
        "browserName" | "browserVersion" | "platformName" => {
            require(value.is_string(), "must be a string")
        }
        "pageLoadStrategy" => require(
            matches!(value.as_str(), Some("none" | "eager" | "normal")),
            "must be one of none, eager, normal",
        ),
        "proxy" => validate_proxy(value, dialect),
        "timeouts" => validate_timeouts(value),
        "unhandledPromptBehavior" => validate_prompt_behaviour(value, dialect),
        name if name.contains(':') => Ok(()),
        _ => Err(
            "is not a capability that can be asked for; extension capabilities have a colon in their name"
                .to_owned(),
        ),
    }
}

/// "deserialize as a proxy"; in BiDi session.ProxyConfiguration, whose socksProxy and socksVersion come together.
fn validate_proxy(value: &Value, dialect: Dialect) -> Result<(), String> {
    let Value::Object(proxy) = value else {
        return Err("must be an object".to_owned());
    };
    for (key, value) in proxy {
        match key.as_str() {
            "proxyType" => require(
                matches!(
                    value.as_str(),
                    Some("pac" | "direct" | "autodetect" | "system" | "manual")
                ),
                "has a proxyType that is not one of pac, direct, autodetect, system, manual",
            )?,
            "proxyAutoconfigUrl" => require(
                value.as_str().is_some_and(|url| Url::parse(url).is_ok()),
                "has a proxyAutoconfigUrl that is not a URL",
            )?,
            "httpProxy" | "sslProxy" | "socksProxy" => require(
                value.as_str().is_some_and(is_host_and_port),
                &format!("has a {key} that is not host or host:port"),
            )?,
            "socksVersion" => require(
                integer(value).is_some_and(|version| version <= 255),
                "has a socksVersion that is not an integer from 0 to 255",
            )?,
            "noProxy" => require(
                value.as_array().is_some_and(|list| list.iter().all(Value::is_string)),
                "has a noProxy that is not a list of strings",
            )?,
            other => return Err(format!("has the unknown key {other}")),
        }
    }
    let Some(kind) = proxy.get("proxyType").and_then(Value::as_str) else {
        return Err("needs a proxyType".to_owned());
    };
    require(
        kind != "pac" || proxy.contains_key("proxyAutoconfigUrl"),
        "of type pac needs a proxyAutoconfigUrl",
    )?;
    let (server, version) = (proxy.contains_key("socksProxy"), proxy.contains_key("socksVersion"));
    require(version || !server, "with a socksProxy needs a socksVersion")?;
    require(
        server || !version || dialect == Dialect::Classic,
        "with a socksVersion needs a socksProxy",
    )
}

/// "host and optional port", without a scheme; "the host may include credentials".
fn is_host_and_port(text: &str) -> bool {
    !text.is_empty()
        && !text.contains(['/', '?', '#', '\\'])
        && !text.contains(|c: char| c <= ' ')
        && Url::parse(&format!("http://{text}")).is_ok_and(|url| url.host().is_some())
}

/// "deserialize as timeouts configuration"; an unknown key is wrong, as all drivers have it.
fn validate_timeouts(value: &Value) -> Result<(), String> {
    let Value::Object(timeouts) = value else {
        return Err("must be an object".to_owned());
    };
    for (key, value) in timeouts {
        require(
            matches!(key.as_str(), "script" | "pageLoad" | "implicit"),
            &format!("has the unknown key {key}; it may have script, pageLoad, implicit"),
        )?;
        require(
            value.is_null() || integer(value).is_some(),
            &format!("has a {key} that is not null or an integer from 0 to 2^53-1"),
        )?;
    }
    Ok(())
}

/// "deserialize as an unhandled prompt behavior"; in BiDi session.UserPromptHandler.
fn validate_prompt_behaviour(value: &Value, dialect: Dialect) -> Result<(), String> {
    let handlers: &[&str] = match dialect {
        Dialect::Classic => {
            &["accept", "dismiss", "accept and notify", "dismiss and notify", "ignore"]
        }
        Dialect::Bidi => &["accept", "dismiss", "ignore"],
    };
    let is_handler = |value: &Value| value.as_str().is_some_and(|text| handlers.contains(&text));
    match value {
        Value::Object(map) => {
            for (kind, handler) in map {
                require(
                    matches!(
                        kind.as_str(),
                        "alert" | "beforeUnload" | "confirm" | "default" | "file" | "prompt"
                    ),
                    &format!("has the unknown prompt type {kind}"),
                )?;
                require(
                    is_handler(handler),
                    &format!("has a {kind} that is not one of {}", handlers.join(", ")),
                )?;
            }
            Ok(())
        }
        value if dialect == Dialect::Classic => {
            require(is_handler(value), &format!("must be one of {}", handlers.join(", ")))
        }
        _ => Err("must be an object".to_owned()),
    }
}

fn integer(value: &Value) -> Option<u64> {
    whole_number(value).filter(|number| *number <= MAX_SAFE_INTEGER)
}

fn require(met: bool, otherwise: &str) -> Result<(), String> {
    if met { Ok(()) } else { Err(otherwise.to_owned()) }
}

fn invalid(message: impl Into<String>) -> WebDriverError {
    WebDriverError::invalid_argument(message)
}

/// What a class of browsers can give.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    /// WebDriver's browserName.
    pub browser_name: &'a str,
    /// The version, in full.
    pub browser_version: &'a str,
    /// WebDriver's platformName.
    pub platform_name: &'a str,
}

/// The longest value that a message repeats, in characters.
const MAX_WANTED: usize = 100;

/// The first capability of a set that an offer cannot give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// Its name.
    pub capability: String,
    /// What was asked for, as JSON, cut to a length that a person reads.
    pub wanted: String,
    /// What there is.
    pub offered: String,
}

/// "match capabilities", against what is known before a browser runs.
///
/// # Errors
/// The first capability that does not match.
pub fn matches(set: &CapabilitySet, offer: Offer<'_>) -> Result<(), Mismatch> {
    for (name, value) in set {
        let text = value.as_str();
        let (matched, offered) = match name.as_str() {
            "browserName" => (text == Some(offer.browser_name), offer.browser_name),
            "browserVersion" => (
                text.is_some_and(|wanted| browser_version::matches(wanted, offer.browser_version)),
                offer.browser_version,
            ),
            "platformName" => (text == Some(offer.platform_name), offer.platform_name),
            name => (
                vendor_of(name).is_none_or(|browser| browser == offer.browser_name),
                "a browser of another vendor",
            ),
        };
        if !matched {
            return Err(Mismatch {
                capability: name.clone(),
                wanted: value.to_string().chars().take(MAX_WANTED).collect(),
                offered: offered.to_owned(),
            });
        }
    }
    Ok(())
}

/// The browser that an extension capability belongs to, where it is one that a client sends to its own browser only. Other
/// capabilities of a vendor's decide nothing: Puppeteer sends Chrome's to every browser.
fn vendor_of(name: &str) -> Option<&'static str> {
    match name {
        "goog:chromeOptions" => Some("chrome"),
        "moz:firefoxOptions" => Some("firefox"),
        "ms:edgeOptions" => Some("MicrosoftEdge"),
        name if name.starts_with("safari:") => Some("safari"),
        _ => None,
    }
}

/// What of a matched set goes to the driver: not what was matched already, and not what is ours or Selenium's.
#[must_use]
pub fn for_driver(set: &CapabilitySet) -> CapabilitySet {
    set.iter()
        .filter(|(name, _)| {
            !matches!(name.as_str(), "browserVersion" | "platformName")
                && !name.starts_with(OWN_PREFIX)
                && !name.starts_with(SELENIUM_PREFIX)
        })
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// Whether a set asks for WebDriver BiDi.
#[must_use]
pub fn asks_for_bidi(set: &CapabilitySet) -> bool {
    set.get("webSocketUrl") == Some(&Value::Bool(true))
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

    #[test]
    fn a_mismatch_names_the_capability_and_both_values() {
        let offer = Offer {
            browser_name: "chrome",
            browser_version: "156.0.8078.79",
            platform_name: "linux",
        };
        for (set, capability) in [
            (json!({"browserName": "Chrome"}), Some("browserName")),
            (json!({"browserVersion": "<100"}), Some("browserVersion")),
            (json!({"platformName": "LINUX"}), Some("platformName")),
            (json!({"moz:firefoxOptions": {}}), Some("moz:firefoxOptions")),
            (json!({"browserName": "chrome", "browserVersion": ">=100"}), None),
            (json!({"goog:chromeOptions": {}, "custom:name": 1}), None),
        ] {
            let found = matches(set.as_object().unwrap(), offer).err();
            assert_eq!(found.map(|m| m.capability).as_deref(), capability, "{set}");
        }
    }

    #[test]
    fn a_driver_sees_neither_our_capabilities_nor_what_was_matched() {
        let set = json!({
            "browserName": "chrome", "browserVersion": "156", "platformName": "linux",
            "se:remoteUrl": "http://gateway", "browser-operator:region": "eu", "goog:chromeOptions": {},
        });
        let kept = for_driver(set.as_object().unwrap());
        assert_eq!(json!(kept), json!({"browserName": "chrome", "goog:chromeOptions": {}}));
    }
}
