//! The browser's DevTools (CDP): the answers of its HTTP endpoints, and its sockets.
//!
//! Chrome answers on loopback alone, to whoever sends a Host of this machine and no Origin. The agent asks as such a client,
//! and gives its own clients URLs that they can use.

mod cdp_execute;
mod command;
mod hidden_targets;
mod http_endpoints;
mod relay;
mod requests;
mod screenshot;
mod target_list;

pub use cdp_execute::effect as execute_effect;
pub use command::{BROWSER_CLOSE, CommandEffect, MAX_WRAPPED_COMMAND};
pub use requests::handle;
pub use screenshot::handle as handle_screenshot;
