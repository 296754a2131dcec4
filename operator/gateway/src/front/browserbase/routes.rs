//! The paths below `/v1/`.

use std::sync::Arc;

use http::{Method, StatusCode};
use net::request::IncomingRequest;
use serde::Serialize;
use warp::reply::Response;

use super::{
    api::API,
    create::create_session,
    debug::debug_urls,
    list::list_sessions,
    problem, projects,
    release::release_session,
    view::{self, Session},
};
use crate::{
    front::hosted::{
        authorize::authorize,
        problem::Problem,
        records,
        request::Request,
        serve::{json_reply, serve},
    },
    state::Gateway,
};

/// Resources of the service that this gateway does not have, by the first part of their paths.
const ELSEWHERE: [&str; 7] =
    ["agents", "certificates", "fetch", "functions", "search", "secrets", "webhooks"];

/// Whether a path belongs to this front.
pub fn is_path(path: &str) -> bool {
    path.starts_with("/v1/")
}

/// Answers a request below `/v1/`.
pub async fn run(gateway: Arc<Gateway>, incoming: IncomingRequest) -> Response {
    serve(gateway, incoming, problem::render, route).await
}

async fn route(gateway: &Gateway, request: &Request) -> Result<Response, Problem> {
    let path: Vec<&str> = request.path.trim_end_matches('/').split('/').skip(2).collect();
    let (get, post) = (request.method == Method::GET, request.method == Method::POST);
    match path.as_slice() {
        ["sessions"] if post => {
            let session = create_session(gateway, request).await?;
            Ok(json_reply(StatusCode::CREATED, &session))
        }
        ["sessions"] if get => list_sessions(gateway, request).await,
        ["sessions", id] if get => ok(get_session(gateway, request, id).await),
        ["sessions", id] if post => ok(release_session(gateway, request, id).await),
        ["sessions", id, "debug"] if get => debug_urls(gateway, request, id).await,
        [
            "sessions",
            _,
            what @ ("logs" | "recording" | "replays" | "downloads" | "uploads"),
            ..,
        ] => {
            Err(Problem::NotImplemented(format!("{what} of sessions are not kept in this version")))
        }
        ["projects"] if get => ok(projects::list(gateway, request).await),
        ["projects", id] if get => ok(projects::get(gateway, request, id).await),
        ["projects", id, "usage"] if get => ok(projects::usage(gateway, request, id).await),
        [what @ ("contexts" | "extensions"), ..] => {
            Err(Problem::NotImplemented(format!("{what} are not available in this version")))
        }
        [other, ..] if ELSEWHERE.contains(other) => Err(Problem::NotImplemented(format!(
            "this gateway has sessions; {other} are not its to serve"
        ))),
        ["sessions"] | ["sessions", _] | ["sessions", _, "debug"] | ["projects", ..] => {
            Err(Problem::MethodNotAllowed)
        }
        _ => Err(Problem::NotFound("there is nothing at this path".to_owned())),
    }
}

fn ok(answer: Result<impl Serialize, Problem>) -> Result<Response, Problem> {
    answer.map(|body| json_reply(StatusCode::OK, &body))
}

async fn get_session(gateway: &Gateway, request: &Request, id: &str) -> Result<Session, Problem> {
    let caller = authorize(gateway, request, &API, "get").await?;
    let record = records::find(gateway, &caller, id).await?;
    Ok(view::session_with_urls(gateway, request, &record))
}
