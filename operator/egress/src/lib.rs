//! Where a browser's requests go, and where they may not. Pure: placement validates with it, the agent enforces with it.

mod cluster_names;
mod credentials;
mod denial;
mod guard;
mod host;
mod lists;
mod networks;
mod no_proxy;
mod pattern;
mod routes;
mod upstream;
mod webdriver_proxy;

pub use credentials::{Credentials, CredentialsError};
pub use denial::Denial;
pub use guard::{Guard, GuardSettings, Lookup, Reach};
pub use host::{Host, Scheme, Target};
pub use lists::{ClassLists, ListError, ListProblem, SessionLists};
pub use networks::{closed_to_all, closed_to_world};
pub use pattern::{DomainPattern, PatternError};
pub use routes::{
    Choice, MAX_RULES, Route, RouteError, RouteProblem, RouteSpec, Routes, RoutesSpec, RuleSpec,
};
pub use upstream::{Upstream, UpstreamError, UpstreamScheme};
pub use webdriver_proxy::{CapabilityError, of_capability};
