//! The headers with which Browserbase's clients prove themselves.

use http::HeaderName;

pub const API_KEY: HeaderName = HeaderName::from_static("x-bb-api-key");
/// A session's id, which is a credential: whoever has it may drive the session.
pub const SESSION_ID: HeaderName = HeaderName::from_static("session-id");
