//! Reads the bodies of create calls. Together they take a bounded part of this replica's memory: where clients need no credentials,
//! anybody may send one, and slowly.

use std::{net::IpAddr, time::Duration};

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

/// Reads a body of at most `limit` bytes. `origin`: where it comes from.
pub async fn read(
    gateway: &Gateway,
    headers: &HeaderMap,
    origin: IpAddr,
    body: Body,
    limit: usize,
) -> Result<Bytes, Error> {
    let reading = |body| collect_within(body, limit, BODY_TIMEOUT);
    // Chunked, it may become as large as it may be.
    if content_length(headers).is_some_and(|length| length <= SMALL_BACKLOG) {
        return Ok(reading(body).await?);
    }
    let Ok(turn) = timeout(TURN_TIMEOUT, gateway.bare_sockets.large(origin)).await else {
        drain(body).await;
        return Err(Error::Busy);
    };
    match turn.close.run_until_cancelled(reading(body)).await {
        Some(read) => Ok(read?),
        None => Err(Error::Busy),
    }
}
