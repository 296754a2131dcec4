//! Who a client is, what it may do, and from which web pages and host names requests are taken.

mod api_keys;
mod authorizer;
mod credential;
mod decisions;
pub mod origin;
mod reviews;
mod throttle;

pub use self::{
    api_keys::ApiKeys,
    authorizer::{Authorizer, Caller, Error, Identity},
    credential::{Credential, origin_of},
    decisions::Decisions,
    reviews::Reviews,
};
