//! The Browser Use API: its sessions and its browsers. Its agents are not ours to run.

mod api;
mod create;
mod field_types;
pub mod headers;
mod list;
pub mod openapi;
mod problem;
mod proxies;
mod public_share;
mod resource;
mod routes;
mod stop;
mod view;

#[cfg(test)]
pub use api::API;
pub use routes::{is_path, run};
