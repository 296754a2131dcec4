//! How this container runs its browser.

use std::path::PathBuf;

use agent_api::bind::Driver;

#[derive(Clone, Debug)]
pub struct LaunchOptions {
    pub driver: Driver,
    /// The browser's program; the driver's own choice if `None`.
    pub browser: Option<PathBuf>,
    /// Whether the browser's own sandbox is used.
    pub browser_sandbox: bool,
    /// The port of loopback at which the agent's proxy listens.
    pub proxy_port: u16,
}
