//! What a session has sent and received.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Bytes as they stand on the wire: TLS, headers and handshakes too.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct Bytes {
    pub sent: u64,
    pub received: u64,
}

/// The answer to a `GET` of [`TRAFFIC_PATH`](crate::paths::TRAFFIC_PATH).
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct Traffic {
    /// By the upstream's URL; `direct` is what went through none.
    pub upstreams: BTreeMap<String, Bytes>,
    /// How many requests did not reach their servers, by RFC 9209's word for the cause.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub failures: BTreeMap<String, u64>,
}
