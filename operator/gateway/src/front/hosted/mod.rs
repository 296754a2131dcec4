//! What the APIs of hosted browser services have in common here. Each service's own front reads its requests and renders its
//! answers; the sessions behind them are the same objects.

pub mod api;
pub mod authorize;
pub mod create;
pub mod features;
pub mod field_types;
pub mod fields;
pub mod links;
pub mod newest;
pub mod on_demand;
pub mod problem;
pub mod proxies;
pub mod records;
pub mod request;
pub mod response_schema;
pub mod serve;
pub mod unsupported;
