//! The sessions of the cluster as this replica knows them, and how one is created. Knows no front.

mod abandon_guard;
mod brought_secret;
pub mod classes;
mod controller_lease;
mod create;
mod create_error;
mod directory;
mod index;
mod live;
mod not_ready;
mod request;
mod share;
mod share_state;
mod vendor_capabilities;

pub use self::{
    abandon_guard::AbandonGuard,
    classes::Classes,
    controller_lease::ControllerLease,
    create::{SessionCreator, WaitPolicy},
    create_error::CreateError,
    directory::Directory,
    index::SharedSession,
    live::LiveSession,
    request::SessionRequest,
    share::Share,
    share_state::UnwrittenViews,
};
