//! The API of browser-operator: group `browser-operator.io`, version `v1alpha1`.
//!
//! Types, the rules that the API server enforces on them, and the words of their status. The YAML under
//! `crds/yaml` is generated from this crate by `browser-operator crd`.

#![warn(missing_docs)]
#![allow(
    clippy::duplicated_attributes,
    reason = "printer columns of one type are told apart by their names"
)]

pub mod capabilities;
pub mod class;
pub mod conditions;
pub mod definitions;
pub mod names;
pub mod proxy;
pub mod reason;
pub mod session;

pub use capabilities::Capabilities;
pub use class::{
    BrowserClass, BrowserClassSpec, BrowserVersion, Driver, Feature, OperatingSystem, Region,
    Sandbox,
};
pub use reason::Reason;
pub use session::{
    BrowserSession, BrowserSessionSpec, BrowserSessionStatus, Expose, ExposeType, Features, Phase,
    Recording, RecordingMode, Viewport,
};
