//! The end of an agent and its session: the latch that stores it, and the policy that decides what it was.

mod latch;
pub mod oom_kills;
mod output;
mod policy;
mod redaction;

pub use latch::EndLatch;
pub use output::Output;
pub use policy::{BrowserLoss, DRIVER_EXIT_TIMEOUT, EndPolicy};
