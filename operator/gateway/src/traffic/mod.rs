//! The traffic of live sessions: requests are streamed, WebSockets are tunnels.

mod forward;
mod tunnel;

pub use self::{
    forward::{Handshake, forward, handshake},
    tunnel::{REPLICA_CLOSING, TunnelEnd, tunnel, tunnel_from},
};
