//! WebDriver Classic.

mod capabilities;
mod commands;
mod content_type;
mod new_session;
mod refuse;

pub use self::{capabilities::capabilities, commands::run, refuse::refuse_caller};
