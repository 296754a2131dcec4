//! A picture of a session's page, from its agent.

use std::time::Duration;

use agent_api::paths::SCREEN_PATH;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use net::{
    agent,
    body::{self, collect_within, empty},
};
use tokio::time::timeout;
use warp::{Reply, reply::Response};

use crate::{
    session::LiveSession,
    state::Gateway,
    traffic::{self, held},
};

const MAX_BYTES: usize = 4 << 20;
const TIMEOUT: Duration = Duration::from_secs(8);
/// How long a picture, or that there is none, is shown to whoever asks.
const TTL: Duration = Duration::from_secs(1);

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the agent did not answer in time")]
    TimedOut,
    #[error("the agent gave no answer")]
    NoAnswer(#[source] agent::Error),
    #[error("the agent answered with status {0}")]
    Status(StatusCode),
    #[error("the picture did not come whole")]
    Body(#[source] body::Error),
}

/// The answer with the picture. One is taken at a time: whoever asks meanwhile gets the same.
pub async fn answer(gateway: &Gateway, session: &LiveSession) -> Response {
    let Ok(_permit) = session.share.viewers.try_acquire() else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let taking = async {
        let taken = timeout(TIMEOUT, take(session)).await.unwrap_or(Err(Error::TimedOut));
        taken
            .inspect_err(|error| {
                tracing::debug!(error = error as &dyn std::error::Error, "no picture");
            })
            .ok()
    };
    let Some(picture) = session.share.picture.recent(TTL, taking).await else {
        return StatusCode::NOT_FOUND.into_response();
    };
    match gateway.pictures.turn(&session.namespace).await {
        Ok(turn) => held(StatusCode::OK, "image/jpeg", picture, turn, &gateway.tasks),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

async fn take(session: &LiveSession) -> Result<Bytes, Error> {
    let asking = traffic::forward(session, Method::GET, SCREEN_PATH, HeaderMap::new(), empty());
    let answer = asking.await.map_err(Error::NoAnswer)?;
    if answer.status() != StatusCode::OK {
        return Err(Error::Status(answer.status()));
    }
    collect_within(answer.into_body(), MAX_BYTES, TIMEOUT).await.map_err(Error::Body)
}
