//! What differs between the services when they authorize and create.

use http::HeaderName;

use crate::metrics::Front;

/// One service's API.
pub struct HostedApi {
    /// The header with the API key.
    pub key_header: HeaderName,
    /// The label of its metrics.
    pub front: Front,
    /// Fields of the object, and the path in a create call's body that each comes from.
    pub body_paths: &'static [(&'static str, &'static [&'static str])],
}
