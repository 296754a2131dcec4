//! The driver: its process, and the session that is prepared with it before the bind.

mod bidi_mapper;
pub mod browser_process;
pub mod cdp;
mod chrome;
mod client;
mod endpoint;
pub mod error_text;
mod firefox;
mod firefox_confinement;
mod firefox_egress;
mod home;
mod launch_options;
mod new_session;
mod operating_system;
mod ports;
pub mod process;
mod session;
mod supervisor;
mod user_agent_override;
mod vendor;
mod walls;

pub use cdp::CdpError;
pub use client::{DriverClient, DriverError, JSON};
pub use endpoint::{BrowserSocket, Endpoint};
pub use new_session::NewSessionError;
pub use session::DriverSession;
pub use supervisor::{DriverSupervisor, PROXY};
