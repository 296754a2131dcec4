//! The APIs that this gateway serves. Each front parses its requests into the same session requests, and renders its own answers.

pub mod bidi;
mod browser_use;
mod browserbase;
mod cdp;
mod classic;
mod credentials;
mod hosted;
mod openapi;
mod routes;
mod share;

pub use self::routes::routes;
