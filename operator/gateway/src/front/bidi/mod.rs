//! WebDriver BiDi.

mod message_reader;
mod socket;

pub use self::socket::{Limits, of_session, socket};
