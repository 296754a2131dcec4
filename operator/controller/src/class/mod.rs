//! The controller of BrowserClasses: it says in a class's status what was seen of its pods. `observations` gathers that from
//! watches and sessions, `blame` says what of it is the class's doing, `status` decides, `reconcile` writes, as often as `pace`
//! lets it.

mod blame;
mod observations;
mod pace;
mod reconcile;
mod status;

pub use observations::{Observations, found};
pub use pace::Pace;
pub use reconcile::ClassController;
pub use status::{changed_since, mismatch, version_of};
