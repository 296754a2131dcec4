//! The driver's New Session: what is sent, and what of the answer is kept.

use std::sync::Arc;

use agent_api::bind::{Driver, NewSession};
use http::Method;
use serde_json::{Map, Value};

use super::{
    browser_process, chrome,
    client::{DriverClient, DriverError},
    endpoint::Endpoint,
    firefox,
    firefox_confinement::ConfinementError,
    launch_options::LaunchOptions,
    operating_system,
    session::DriverSession,
    user_agent_override::{self, OverrideError, UserAgentOverride},
    vendor,
    walls::{self, WallError},
};

/// Why there is no session of the driver.
#[derive(Debug, thiserror::Error)]
pub enum NewSessionError {
    #[error(transparent)]
    Driver(#[from] DriverError),
    #[error(transparent)]
    Unconfined(#[from] Arc<ConfinementError>),
    #[error(transparent)]
    Wall(#[from] WallError),
    #[error("the driver's answer has no session")]
    NoSession,
    #[error("spec.os: the image does not say which Firefox it has: {0}")]
    FirefoxVersion(firefox::VersionError),
    #[error("spec.os: the browser said nothing of its DevTools")]
    NoDevTools,
    #[error("spec.os: the browser calls itself {0:?}")]
    UnknownUserAgent(String),
    #[error("spec.os: {0}")]
    Override(OverrideError),
}

/// Makes a session of the driver.
pub async fn new_session(
    client: &DriverClient,
    wanted: &NewSession,
    options: &LaunchOptions,
) -> Result<DriverSession, NewSessionError> {
    walls::check(&wanted.capabilities)?;
    let preferences = match (wanted.os, options.driver) {
        (Some(os), Driver::Geckodriver) => {
            firefox::system_preferences(options.browser.as_deref(), os)
                .map_err(NewSessionError::FirefoxVersion)?
        }
        _ => Map::new(),
    };
    let body = vendor::new_session_body(options, wanted, preferences);
    let mut value = client.command(Method::POST, "/session", Some(&body)).await?;
    let (Some(Value::String(id)), Some(Value::Object(capabilities))) = (
        value.get_mut("sessionId").map(Value::take),
        value.get_mut("capabilities").map(Value::take),
    ) else {
        return Err(NewSessionError::NoSession);
    };
    let browser = browser_process::process_id(&capabilities);
    let bidi = vendor::bidi_endpoint(&capabilities);
    let version = match chrome::debugger_address(&capabilities) {
        Some(address) => dev_tools_version(client, address).await,
        None => None,
    };
    let mut capabilities = vendor::client_capabilities(options.driver, capabilities);
    let text = |name: &str| version.as_ref()?.get(name)?.as_str();
    let dev_tools = text("webSocketDebuggerUrl").and_then(Endpoint::from_url);
    // New Session must say what the browser calls itself, and chromedriver does not.
    if let Some(user_agent) = text("User-Agent") {
        capabilities.entry("userAgent").or_insert_with(|| user_agent.into());
    }
    let user_agent_override = match (wanted.os, options.driver) {
        (Some(os), Driver::Chromedriver) => {
            let (Some(browser), Some(own)) = (dev_tools.as_ref(), text("User-Agent")) else {
                return Err(NewSessionError::NoDevTools);
            };
            let params = operating_system::chrome_override(own, os)
                .ok_or_else(|| NewSessionError::UnknownUserAgent(own.to_owned()))?;
            capabilities.insert("userAgent".to_owned(), params["userAgent"].clone());
            Some(override_user_agent(browser, params).await?)
        }
        _ => None,
    };
    Ok(DriverSession { id, capabilities, bidi, dev_tools, browser, user_agent_override })
}

async fn override_user_agent(
    browser: &Endpoint,
    params: Value,
) -> Result<UserAgentOverride, NewSessionError> {
    user_agent_override::start(browser, params).await.map_err(NewSessionError::Override)
}

/// The answer of the browser's `/json/version`.
async fn dev_tools_version(client: &DriverClient, address: &str) -> Option<Value> {
    let browser = Endpoint::from_address(address)?;
    client.dev_tools(&browser, Method::GET, "/json/version").await.ok()
}
