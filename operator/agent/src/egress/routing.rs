//! The routes that a bind asks for.

use agent_api::bind::Egress;
use egress::{CapabilityError, Guard, ListError, RouteError, Routes};
use serde_json::Value;

use super::own_addresses::own_addresses;

/// Why a session's routes are not set.
#[derive(Debug, thiserror::Error)]
pub enum RoutingError {
    #[error("spec.capabilities: proxy{0}")]
    Capability(#[from] CapabilityError),
    #[error("spec.proxy: {0}")]
    Routes(#[from] RouteError),
    #[error("the lists of what pages may reach: {0}")]
    Lists(#[from] ListError),
}

/// Routes and guard of a session. WebDriver's `proxy` says them, or else the session's spec. A controller of before says nothing:
/// then all of the cluster is open, as it was then.
pub fn of_bind(
    proxy: Option<&Value>,
    egress: Option<Egress>,
) -> Result<(Routes, Guard), RoutingError> {
    let Egress { routes, guard } = egress.unwrap_or_else(Egress::of_before);
    let routes = match proxy {
        Some(Value::Object(proxy)) => egress::of_capability(proxy)?,
        _ => Routes::parse(&routes)?,
    };
    Ok((routes, Guard::new(guard, own_addresses())?))
}
