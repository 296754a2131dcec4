//! The APIs that this gateway serves. Each front parses its requests into the same session requests, and renders its own answers.

pub mod bidi;
mod bounded_json;
mod browser_use;
mod browserbase;
mod caller_name;
mod cdp;
mod classic;
mod cors;
mod credentials;
mod hosted;
mod openapi;
mod request_body;
mod root;
mod routes;
mod share;

pub use self::routes::routes;
