//! The settings of an agent.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use agent_api::{bind::Prepare, pod_token::TokenHash};

#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The hash of the token that controller and gateway present.
    pub token_hash: TokenHash,
    pub prepare: Prepare,
    /// The driver's program.
    pub driver: PathBuf,
    /// The browser's program; the driver's own choice if `None`.
    pub browser: Option<PathBuf>,
    /// The file of the container's termination message.
    pub termination_log: PathBuf,
    /// How long to wait for a bind.
    pub unbound_timeout: Duration,
}
