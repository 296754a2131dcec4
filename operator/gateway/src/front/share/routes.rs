//! `/share/...`: the page of a share, its script and its picture.

use std::sync::Arc;

use http::{Method, StatusCode};
use net::{body::drain, request::IncomingRequest};
use tokio::sync::Semaphore;
use warp::{Reply, reply::Response};

use super::{page, picture, store, views};
use crate::{
    session::{LiveSession, SharedSession},
    state::Gateway,
};

const PREFIX: &str = "/share/";
const PROGRAM_PATH: &str = "/share/view.js";
/// The path of the picture behind a share's token.
const PICTURE: &str = "/screen";
/// Limits the requests to the API server about shares that this replica does not know.
static UNKNOWN_SHARES: Semaphore = Semaphore::const_new(4);

/// Whether a path belongs to this front.
pub fn is_path(path: &str) -> bool {
    path.starts_with(PREFIX)
}

pub async fn run(gateway: Arc<Gateway>, incoming: IncomingRequest) -> Response {
    drain(incoming.body).await;
    page::lock_down(answer(&gateway, &incoming.method, &incoming.path).await)
}

async fn answer(gateway: &Gateway, method: &Method, path: &str) -> Response {
    let is_head = *method == Method::HEAD;
    if !is_head && *method != Method::GET {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    if path == PROGRAM_PATH {
        return page::program();
    }
    let token = path.strip_prefix(PREFIX).unwrap_or_default();
    if let Some(token) = token.strip_suffix(PICTURE) {
        return match gateway.directory.find_shared(token) {
            Some(SharedSession::Live(_)) if is_head => StatusCode::OK.into_response(),
            Some(SharedSession::Live(session)) => picture::answer(gateway, &session).await,
            _ => StatusCode::NOT_FOUND.into_response(),
        };
    }
    match gateway.directory.find_shared(token) {
        Some(SharedSession::Live(session)) => view(gateway, &session, token, is_head),
        Some(SharedSession::UnknownShare(session, nonce))
            if is_new(gateway, &session, &nonce).await =>
        {
            view(gateway, &session, token, is_head)
        }
        Some(SharedSession::Ended(end)) => page::ended(end.reason.as_str()),
        Some(SharedSession::UnknownShare(..)) | None => page::not_shared(),
    }
}

fn view(gateway: &Gateway, session: &Arc<LiveSession>, token: &str, is_head: bool) -> Response {
    if !is_head {
        views::count(gateway, session);
    }
    page::live(&format!("{token}{PICTURE}"))
}

/// Whether a share is so new that only the API server knows it. Nobody waits for a permit: a URL whose share was deleted may
/// still be asked for by many.
async fn is_new(gateway: &Gateway, session: &LiveSession, nonce: &str) -> bool {
    let Ok(_permit) = UNKNOWN_SHARES.try_acquire() else { return false };
    let exists = store::exists(&gateway.sessions.client, session, nonce).await;
    exists.unwrap_or_else(|error| {
        tracing::warn!(error = &error as &dyn std::error::Error, "a share");
        false
    })
}
