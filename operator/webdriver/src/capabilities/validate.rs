//! "validate capabilities": the grammar of each standard capability.

use serde_json::Value;
use url::Url;

use InvalidCapability::*;

use crate::number::{MAX_SAFE_INTEGER, whole_number};

/// Which protocol's New Session asks; their grammars differ in two places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// WebDriver Classic: null values are dropped, prompt behaviour may be a string.
    Classic,
    /// WebDriver BiDi: null values are wrong, prompt behaviour is a map (BiDi, session.CapabilityRequest).
    Bidi,
}

/// What is wrong with a capability, in words that follow its name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCapability {
    #[error("must be true or false")]
    NotBoolean,
    #[error("must be a string")]
    NotString,
    #[error("must be an object")]
    NotObject,
    #[error("must be one of {0}")]
    NotOneOf(&'static str),
    #[error(
        "is not a capability that can be asked for; extension capabilities have a colon in their name"
    )]
    Unknown,
    #[error("has a {key} that is not {expected}")]
    Malformed { key: String, expected: &'static str },
    #[error("has a {key} that is not one of {handlers}")]
    UnknownHandler { key: String, handlers: &'static str },
    #[error("has the unknown key {0}")]
    UnknownKey(String),
    #[error("has the unknown key {0}; it may have script, pageLoad, implicit")]
    UnknownTimeout(String),
    #[error("has the unknown prompt type {0}")]
    UnknownPrompt(String),
    #[error("needs a proxyType")]
    NoProxyType,
    #[error("of type pac needs a proxyAutoconfigUrl")]
    NoAutoconfigUrl,
    #[error("with a socksProxy needs a socksVersion")]
    NoSocksVersion,
    #[error("with a socksVersion needs a socksProxy")]
    NoSocksProxy,
}

pub(super) fn validate_one(
    name: &str,
    value: &Value,
    dialect: Dialect,
) -> Result<(), InvalidCapability> {
    match name {
        "acceptInsecureCerts" | "strictFileInteractability" | "webSocketUrl" => {
            require(value.is_boolean(), || NotBoolean)
        }
        "browserName" | "browserVersion" | "platformName" => {
            require(value.is_string(), || NotString)
        }
        "pageLoadStrategy" => {
            require(matches!(value.as_str(), Some("none" | "eager" | "normal")), || {
                NotOneOf("none, eager, normal")
            })
        }
        "proxy" => validate_proxy(value, dialect),
        "timeouts" => validate_timeouts(value),
        "unhandledPromptBehavior" => validate_prompt_behaviour(value, dialect),
        name if name.contains(':') => Ok(()),
        _ => Err(Unknown),
    }
}

/// "deserialize as a proxy"; in BiDi session.ProxyConfiguration, whose socksProxy and socksVersion come together.
fn validate_proxy(value: &Value, dialect: Dialect) -> Result<(), InvalidCapability> {
    let Value::Object(proxy) = value else {
        return Err(NotObject);
    };
    for (key, value) in proxy {
        match key.as_str() {
            "proxyType" => require(
                matches!(
                    value.as_str(),
                    Some("pac" | "direct" | "autodetect" | "system" | "manual")
                ),
                || malformed(key, "one of pac, direct, autodetect, system, manual"),
            )?,
            "proxyAutoconfigUrl" => {
                require(value.as_str().is_some_and(|url| Url::parse(url).is_ok()), || {
                    malformed(key, "a URL")
                })?
            }
            "httpProxy" | "sslProxy" | "socksProxy" => {
                require(value.as_str().is_some_and(is_host_and_port), || {
                    malformed(key, "host or host:port")
                })?
            }
            "socksVersion" => {
                require(integer(value).is_some_and(|version| version <= 255), || {
                    malformed(key, "an integer from 0 to 255")
                })?
            }
            "noProxy" => require(
                value.as_array().is_some_and(|list| list.iter().all(Value::is_string)),
                || malformed(key, "a list of strings"),
            )?,
            other => return Err(UnknownKey(other.to_owned())),
        }
    }
    let Some(kind) = proxy.get("proxyType").and_then(Value::as_str) else {
        return Err(NoProxyType);
    };
    require(kind != "pac" || proxy.contains_key("proxyAutoconfigUrl"), || NoAutoconfigUrl)?;
    let (server, version) = (proxy.contains_key("socksProxy"), proxy.contains_key("socksVersion"));
    require(version || !server, || NoSocksVersion)?;
    require(server || !version || dialect == Dialect::Classic, || NoSocksProxy)
}

/// "host and optional port", without a scheme; "the host may include credentials".
fn is_host_and_port(text: &str) -> bool {
    !text.is_empty()
        && !text.contains(['/', '?', '#', '\\'])
        && !text.contains(|c: char| c <= ' ')
        && Url::parse(&format!("http://{text}")).is_ok_and(|url| url.host().is_some())
}

/// "deserialize as timeouts configuration"; an unknown key is wrong, as all drivers have it.
fn validate_timeouts(value: &Value) -> Result<(), InvalidCapability> {
    let Value::Object(timeouts) = value else {
        return Err(NotObject);
    };
    for (key, value) in timeouts {
        require(matches!(key.as_str(), "script" | "pageLoad" | "implicit"), || {
            UnknownTimeout(key.clone())
        })?;
        require(value.is_null() || integer(value).is_some(), || {
            malformed(key, "null or an integer from 0 to 2^53-1")
        })?;
    }
    Ok(())
}

/// "deserialize as an unhandled prompt behavior"; in BiDi session.UserPromptHandler.
fn validate_prompt_behaviour(value: &Value, dialect: Dialect) -> Result<(), InvalidCapability> {
    let handlers = match dialect {
        Dialect::Classic => "accept, dismiss, accept and notify, dismiss and notify, ignore",
        Dialect::Bidi => "accept, dismiss, ignore",
    };
    let is_handler = |value: &Value| {
        value.as_str().is_some_and(|text| handlers.split(", ").any(|handler| handler == text))
    };
    match value {
        Value::Object(map) => {
            for (kind, handler) in map {
                require(
                    matches!(
                        kind.as_str(),
                        "alert" | "beforeUnload" | "confirm" | "default" | "file" | "prompt"
                    ),
                    || UnknownPrompt(kind.clone()),
                )?;
                require(is_handler(handler), || UnknownHandler { key: kind.clone(), handlers })?;
            }
            Ok(())
        }
        value if dialect == Dialect::Classic => require(is_handler(value), || NotOneOf(handlers)),
        _ => Err(NotObject),
    }
}

fn integer(value: &Value) -> Option<u64> {
    whole_number(value).filter(|number| *number <= MAX_SAFE_INTEGER)
}

fn malformed(key: &str, expected: &'static str) -> InvalidCapability {
    Malformed { key: key.to_owned(), expected }
}

fn require(
    met: bool,
    otherwise: impl FnOnce() -> InvalidCapability,
) -> Result<(), InvalidCapability> {
    if met { Ok(()) } else { Err(otherwise()) }
}
