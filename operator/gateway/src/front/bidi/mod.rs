//! WebDriver BiDi.

mod bare;
mod message_reader;
mod new_session;
mod socket;

pub use self::socket::{of_session, socket};
