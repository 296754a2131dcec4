//! The traffic of live sessions: requests are streamed, WebSockets are tunnels.

mod bare_socket_limits;
mod forward;
mod large_answers;
mod tunnel;

pub use self::{
    bare_socket_limits::{BareSocketLimits, SMALL_BACKLOG},
    forward::{Handshake, forward, handshake},
    large_answers::{Busy, LargeAnswers, Turn, held},
    tunnel::{REPLICA_CLOSING, TunnelEnd, tunnel, tunnel_from},
};
