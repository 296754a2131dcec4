//! The words of the end-to-end tests: a cluster, a namespace of a test's own, conditions to wait for, and clients that
//! speak as users' clients do. What waits, waits on a watch wherever there is one.

pub mod agent;
mod authority;
pub mod bidi;
pub mod classic;
pub mod clients;
pub mod cluster;
mod diagnostics;
pub mod dns;
pub mod echo;
pub mod faults;
pub mod finally;
pub mod gateway;
pub mod hosted;
pub mod kubectl;
pub mod local;
pub mod namespace;
pub mod neighbours;
pub mod objects;
pub mod operator;
pub mod perl_pod;
pub mod raw;
pub mod settings;
pub mod soak;
pub mod tenant;
pub mod upstream;
pub mod wait;
mod with_namespace;

pub use authority::authority;
pub use bidi::Bidi;
pub use classic::{Classic, Reply};
pub use cluster::Cluster;
pub use namespace::Namespace;
pub use objects::{class_like_the_default, session};
pub use with_namespace::with_namespace;
