//! Tells a client who it is taken for, where that may surprise it.

use serde_json::Value;

use crate::{auth::Caller, state::Gateway};

/// Some clients (Java's) send their key only when asked for it, and a gateway that wants none never asks: then a session is nobody's
/// though its client has a key.
const CALLER: &str = "browser-operator:caller";

/// Tells a client that it is anonymous, where it may have a key.
pub fn add(gateway: &Gateway, caller: &Caller, capabilities: &mut Value) {
    if caller.is_anonymous() && !gateway.authorizer.keys.is_empty() {
        capabilities[CALLER] = caller.name.clone().into();
    }
}
