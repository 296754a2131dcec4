//! What a browser's pod may reach, and who may reach it: NetworkPolicies, kept in each namespace that has browsers.

mod cluster_networks;
mod policies;
mod policy;
mod ranges;

pub use policies::Policies;
pub use policy::PolicySettings;
