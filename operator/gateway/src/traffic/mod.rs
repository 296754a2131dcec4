//! The traffic of live sessions: requests are streamed, WebSockets are tunnels.

mod bare_socket_limits;
mod forward;
mod tunnel;

pub use self::{
    bare_socket_limits::{BareSocketLimits, SMALL_BACKLOG},
    forward::{Handshake, forward, handshake},
    tunnel::{REPLICA_CLOSING, TunnelEnd, tunnel, tunnel_from},
};
