//! WebDriver's remote end, for the clients of the session: commands over HTTP, and sockets.

mod command;
mod dispatch;
mod driver_reply;
mod driver_request;
mod file_upload;
mod page_request;
mod replies;

pub use dispatch::handle;
