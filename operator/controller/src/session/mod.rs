//! The controller of BrowserSessions: `dereference -> validate -> build -> apply -> observe`, a file each, and `decide`,
//! which says what the next step is.

mod agent_calls;
mod apply;
mod context;
mod credentials;
mod decide;
mod dereference;
mod egress;
mod listener;
mod reconcile;
mod status;
mod validate;

pub use context::Context;
pub use listener::SessionListener;
pub use reconcile::reconcile;
