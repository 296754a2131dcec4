//! WebDriver Classic and WebDriver BiDi: capabilities, routes, errors and messages.
//!
//! Pure: nothing here does IO, reads a clock or draws a random number.

pub mod bidi;
pub mod browser_version;
pub mod capabilities;
pub mod error;
pub mod number;
pub mod reply;
pub mod route;
pub mod vendor_options;
