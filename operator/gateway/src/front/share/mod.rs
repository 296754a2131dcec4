//! Shares: a URL that shows a session to whoever has it. A URL may get around, so what it costs does not grow with the viewers.

mod page;
mod picture;
mod routes;
pub mod store;
mod views;

pub use self::routes::{is_path, run};
