//! The Browserbase API. A project is a namespace.

mod allowed_domains;
mod api;
mod create;
mod debug;
pub mod headers;
mod list;
mod metadata_query;
pub mod openapi;
mod problem;
mod project_id;
mod projects;
mod proxies;
mod release;
mod routes;
pub mod selenium;
mod view;

#[cfg(test)]
pub use api::API;
pub use routes::{is_path, run};
