//! The header with which Browser Use's clients prove themselves.

use http::HeaderName;

pub const API_KEY: HeaderName = HeaderName::from_static("x-browser-use-api-key");
