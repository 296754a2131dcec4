//! WebDriver BiDi.

mod bare;
mod limits;
mod message_reader;
mod new_session;
mod socket;

pub use self::{
    limits::BareSocketLimits,
    socket::{of_session, socket},
};
