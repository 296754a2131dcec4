//! Reads the bodies of create calls. Together they take a bounded part of this replica's memory: where clients need no credentials,
//! anybody may send one, and slowly.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use net::{
    Body,
    body::{self, collect_within, content_length, drain},
};
use tokio::time::timeout;

use crate::{state::Gateway, traffic::SMALL_BACKLOG};

const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a large body may wait until others are read.
const TURN_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Body(#[from] body::Error),
    /// Status 503: another try may do better.
    #[error("this replica reads too many large bodies at a time")]
    Busy,
}

/// Reads a body of at most `limit` bytes.
pub async fn read(
    gateway: &Gateway,
    headers: &HeaderMap,
    body: Body,
    limit: usize,
) -> Result<Bytes, Error> {
    // Chunked, it may become as large as it may be.
    let is_small = content_length(headers).is_some_and(|length| length <= SMALL_BACKLOG);
    let _turn = if is_small {
        None
    } else {
        match timeout(TURN_TIMEOUT, gateway.bare_sockets.large()).await {
            Ok(Some(turn)) => Some(turn),
            Ok(None) | Err(_) => {
                drain(body).await;
                return Err(Error::Busy);
            }
        }
    };
    Ok(collect_within(body, limit, BODY_TIMEOUT).await?)
}
