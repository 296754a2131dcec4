//! What is known of the cluster: watches, what was written since, what is gone, and live reads to confirm it.

mod class_owners;
mod confirmed;
mod expectations;
mod forged;
mod history;
mod kept;
pub mod live;
mod stores;
mod tombstones;
pub mod watches;
mod writes;

pub use class_owners::controller_label;
pub use confirmed::{Confirmed, Labels};
pub use expectations::Expectations;
pub use forged::is_forged;
pub use history::History;
pub use kept::unreadable;
pub use stores::{Stores, is_finished};
pub use tombstones::{Tombstone, Tombstones};
pub use writes::Writes;
