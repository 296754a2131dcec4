//! WebDriver BiDi: one socket to the browser, any number to clients.
//!
//! A browser sends events only to the socket that subscribed, and some drivers take one socket only. So the agent keeps
//! the one socket to the browser, rewrites command ids, sends answers to the client that asked and events to all.

mod client_socket;
mod multiplexer;
mod navigations;
mod own_proxy;
mod pending_commands;
mod router;

pub use client_socket::open;
pub use multiplexer::Multiplexer;
pub use navigations::Navigations;
pub use router::Router;
