//! A session of the driver, as the driver knows it.

use rustix::process::Pid;
use serde_json::{Map, Value};

use super::{
    bidi_mapper, cdp::CdpError, endpoint::Endpoint, user_agent_override::UserAgentOverride,
};

#[derive(Clone, Debug)]
pub struct DriverSession {
    /// The driver's id of it, which clients never see.
    pub id: String,
    /// Its capabilities, as far as a client may see them.
    pub capabilities: Map<String, Value>,
    /// Its BiDi socket, where one was asked for.
    pub bidi: Option<Endpoint>,
    /// The browser's DevTools, where it has them.
    pub dev_tools: Option<Endpoint>,
    /// The browser's process, where the driver says which it is.
    pub browser: Option<Pid>,
    /// Keeps the browser naming another operating system, where one was asked for.
    #[expect(dead_code, reason = "it is held, and not read")]
    pub user_agent_override: Option<UserAgentOverride>,
}

impl DriverSession {
    /// The ids of the browser's targets that are the driver's own. To be called before a client has the browser.
    pub async fn own_targets(&self) -> Result<Vec<String>, CdpError> {
        match (&self.dev_tools, &self.bidi) {
            (Some(browser), Some(_)) => bidi_mapper::target_ids(browser).await,
            _ => Ok(Vec::new()),
        }
    }
}
