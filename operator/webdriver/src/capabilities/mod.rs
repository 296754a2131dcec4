//! Capability processing (WebDriver, section "Capabilities"): validate all, merge all, then match in order.

mod bounds;
mod matching;
mod process;
mod set;
mod validate;

pub use bounds::{MAX_ALTERNATIVES, MAX_BYTES, MAX_DEPTH, MAX_NODES, TooLarge, check_size};
pub use matching::{Leniency, Mismatch, Offer, match_capabilities};
pub use process::{Requested, process};
pub use set::{CAPABILITY_PARAMETERS, CapabilitySet, OWN_PREFIX, SELENIUM_PREFIX, for_driver};
pub use validate::{Dialect, InvalidCapability};
