//! The browser's one way out: an HTTP proxy on loopback.
//!
//! The browser is told to send everything here, so that a session's routes can be set when it is bound, what no page may reach is
//! denied, and bytes are counted. Which route a request takes is `egress`' to say.

mod connector;
mod counted;
mod dial;
mod error_kind;
mod failure;
mod failures;
mod forward;
mod lost_pages;
mod own_addresses;
mod proxy;
mod routing;
mod server_stream;
#[cfg(test)]
mod tests;
mod traffic;
mod tunnel;
mod upstream_tls;

pub use error_kind::ErrorKind;
pub use lost_pages::{LostPages, Mark};
pub use proxy::EgressProxy;
pub use routing::{RoutingError, of_bind};
