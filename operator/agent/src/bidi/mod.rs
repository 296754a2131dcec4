//! WebDriver BiDi: one socket to the browser, any number to clients.
//!
//! A browser's driver sends events only to the socket that subscribed, and some drivers take one socket only. So the
//! agent keeps the one upstream socket, rewrites command ids, gives answers to the asker and events to all.

mod client;
mod hub;
mod ids;

pub use client::serve;
pub use hub::Hub;
