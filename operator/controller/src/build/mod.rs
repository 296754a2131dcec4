//! Desired objects. Nothing here talks to a cluster, reads a clock or draws a random number.

mod blueprint;
mod metadata;
mod mounts;
mod pod;
mod resources;
mod revision;
mod service;
pub mod stage;
mod template;

pub use blueprint::{Blueprint, new_session};
pub use metadata::{FIELD_MANAGER, MATCHED_ANNOTATION, cold_pod, object_name};
pub use pod::{Assignment, pod, token_argument};
pub use revision::revision;
pub use service::{browsers_service, own_service};
pub use template::Template;
