//! HTTP in and out, as gateway and agent both need it.

pub mod collect;
pub mod forward;
pub mod frames;
pub mod incoming;
pub mod serve;
pub mod socket;
pub mod tunnel;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;

/// Any error of a body.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// Any body.
pub type Body = UnsyncBoxBody<Bytes, BoxError>;
