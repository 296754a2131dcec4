//! HTTP in and out: servers, bodies, WebSocket tunnels, and proven connections to agents.

pub mod activity;
pub mod agent;
pub mod body;
pub mod forward;
pub mod frames;
pub mod handshake;
mod pace;
pub mod places;
pub mod request;
pub mod server;
pub mod tcp;
pub mod transport;
pub mod tunnel;

pub use body::{Body, BoxError};
