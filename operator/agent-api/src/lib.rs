//! What controller, gateway and agent say to each other: the bind's messages, tokens and keys.
//!
//! Pure: nothing here does IO, reads a clock or draws a random number.

pub mod api_key;
pub mod bind;
pub mod token;
