//! Shares: a URL that shows a session to whoever has it.

mod page;

pub use self::page::{Screen, is_path, run};
