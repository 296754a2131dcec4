//! What goes over the wire: WebDriver Classic, WebDriver BiDi, and the operator's own messages between
//! controller, gateway and agent.
//!
//! Pure: nothing here does IO, reads a clock or draws a random number.

pub mod api_key;
pub mod bidi;
pub mod bind;
pub mod capabilities;
pub mod error;
pub mod number;
pub mod reply;
pub mod route;
pub mod token;
pub mod vendor;
pub mod version;
