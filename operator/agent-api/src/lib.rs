//! What controller, gateway and agent say to each other: the bind's messages, tokens and keys.
//!
//! Pure: nothing here does IO, reads a clock or draws a random number.

pub mod api_key;
pub mod bind;
pub mod constant_time;
pub mod end;
pub mod hmac;
pub mod installation_key;
pub mod paths;
mod pod_ref;
pub mod pod_token;
mod signed_link;
pub mod start;
pub mod traffic;

pub use end::End;
pub use pod_ref::PodRef;
