//! The Chrome DevTools Protocol.

mod dev_tools;
mod routes;

pub use self::{
    dev_tools::pages,
    routes::{is_path, is_socket, run, socket},
};
