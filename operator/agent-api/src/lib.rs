//! What controller, gateway and agent say to each other: the bind's messages, tokens and keys.
//!
//! Pure: nothing here does IO, reads a clock or draws a random number.

pub mod api_key;
pub mod bind;
pub mod end;
pub mod pod_ref;
pub mod token;

pub use end::End;
pub use pod_ref::PodRef;
