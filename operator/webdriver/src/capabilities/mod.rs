//! Capability processing (WebDriver, section "Capabilities"): validate all, merge all, then match in order.

mod matching;
mod process;
mod set;
mod validate;

pub use matching::{Mismatch, Offer, match_capabilities};
pub use process::process;
pub use set::{CAPABILITY_PARAMETERS, CapabilitySet, OWN_PREFIX, SELENIUM_PREFIX, for_driver};
pub use validate::{Dialect, InvalidCapability};
