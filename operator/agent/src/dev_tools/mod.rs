//! The browser's DevTools (CDP): the answers of its HTTP endpoints, and its sockets.
//!
//! Chrome answers on loopback alone, to clients that send a Host of this machine and no Origin. The agent asks as such a client,
//! and rewrites the URLs in the answers for its own clients.

mod cdp_execute;
mod command;
mod hidden_targets;
mod http_endpoints;
mod own_proxy;
mod relay;
mod requests;
mod screenshot;
mod target_list;

pub use cdp_execute::effect as execute_effect;
pub use command::{BROWSER_CLOSE, CommandEffect, MAX_WRAPPED_COMMAND};
pub use own_proxy::{
    WORDS as OWN_PROXY, is_refused as gives_own_proxy, is_suspect as may_give_own_proxy,
};
pub use requests::handle;
pub use screenshot::handle as handle_screenshot;
