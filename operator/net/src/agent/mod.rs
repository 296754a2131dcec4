//! Talking to the agent in a browser pod: every connection begins with a proof of both ends.

mod client;
mod connector;
mod proof;

pub use client::{AGENT_IDLE, Agent, Error};
