//! Sessions as this replica knows and creates them. Knows no front.

pub mod classes;
mod create;
mod directory;
pub mod share;
mod vendor_capabilities;

pub use self::{
    create::{AbandonGuard, CreateError, Sessions, WaitPolicy},
    directory::{Directory, LiveSession, NotReady, SharedSession, watch},
    vendor_capabilities::SessionRequest,
};
