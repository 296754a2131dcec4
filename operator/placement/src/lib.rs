//! Whether a session can be had, and as what: class, version, region, capabilities. Pure.
//!
//! The gateway asks before it makes an object, the controller before it makes a pod: one answer for both.

mod candidates;
mod capability_sets;
mod egress_lists;
mod features;
mod fields;
mod operating_system;
mod place;
mod policy;
mod proxy;
mod refusal;
mod regions;
mod request;
mod vendor_options;
mod versions;

pub use capability_sets::matched_set;
pub use place::{Placement, place};
pub use policy::{class_problem, timeout_seconds};
pub use proxy::{
    Brought, BroughtCredentials, ProxyCredentials, check_brought, check_proxy, credentials_secrets,
    has_brought, routes,
};
pub use refusal::Refusal;
pub use request::{Namespace, Request};
pub use versions::check_found;
