//! The API of browser-operator: group `browser-operator.io`, version `v1alpha1`.
//!
//! The types, the validation rules that the API server enforces, and the conditions and reasons of the status.
//! `browser-operator crd` generates the YAML under `crds/yaml` from this crate.

#![warn(missing_docs)]
#![allow(
    clippy::duplicated_attributes,
    reason = "printer columns of one type are told apart by their names"
)]

pub mod capabilities;
pub mod class;
pub mod class_status;
pub mod conditions;
pub mod definitions;
mod egress;
pub mod expose;
pub mod features;
mod immutable;
pub mod names;
pub mod proxy;
pub mod reason;
mod schema;
pub mod session;
pub mod status;

pub use capabilities::Capabilities;
pub use class::{
    BrowserClass, BrowserClassSpec, BrowserVersion, Driver, Feature, OperatingSystem, Region,
    Sandbox,
};
pub use class_status::{BrowserClassStatus, FoundBrowser};
pub use egress::ClassEgress;
pub use expose::{Expose, ExposeType};
pub use features::Features;
pub use reason::Reason;
pub use session::{BrowserSession, BrowserSessionSpec, Recording, RecordingMode, Viewport};
pub use status::{BrowserSessionStatus, Phase, ProxyStatus};
