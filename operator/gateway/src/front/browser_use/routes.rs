//! The paths below `/api/v2/`, and below `/api/v3/` and `/api/v4/` where they are the same.

use std::sync::Arc;

use http::{Method, StatusCode};
use net::request::IncomingRequest;
use serde::Serialize;
use warp::{Reply, reply::Response};

use super::{
    create::create,
    list::list,
    problem, public_share,
    resource::{self, Resource},
    stop::stop,
    view,
};
use crate::{
    front::hosted::{
        problem::Problem,
        records,
        request::Request,
        serve::{json_reply, serve},
    },
    state::Gateway,
};

/// Resources that run agents or keep what agents need, by the first part of their paths.
const AGENTS: [&str; 14] = [
    "tasks",
    "files",
    "profiles",
    "billing",
    "skills",
    "marketplace",
    "messages",
    "workspaces",
    "runs",
    "queue",
    "extensions",
    "account",
    "integrations",
    "scheduled-tasks",
];

/// Whether a path belongs to this front.
pub fn is_path(path: &str) -> bool {
    ["/api/v2/", "/api/v3/", "/api/v4/"].iter().any(|prefix| path.starts_with(prefix))
}

/// Answers a request below `/api/v2/`, `/api/v3/` or `/api/v4/`.
pub async fn run(gateway: Arc<Gateway>, incoming: IncomingRequest) -> Response {
    serve(gateway, incoming, problem::render, route).await
}

async fn route(gateway: &Gateway, request: &Request) -> Result<Response, Problem> {
    let path: Vec<&str> = request.path.trim_end_matches('/').split('/').skip(2).collect();
    let (version, path) =
        path.split_first().map_or(("", &[][..]), |(version, path)| (*version, path));
    let resource = match path.first() {
        // In v3 and v4 a session is an agent's.
        Some(&"sessions") if version == "v2" => Resource::Sessions,
        Some(&"browsers") => Resource::Browsers,
        Some(&"sessions") => return Err(not_ours("sessions of agents")),
        Some(other) if AGENTS.contains(other) => return Err(not_ours(other)),
        _ => return Err(Problem::NotFound("Not Found".to_owned())),
    };
    let is_session = resource == Resource::Sessions;
    match (&request.method, &path[1..]) {
        (&Method::POST, []) => created(create(gateway, request, resource).await),
        (&Method::GET, []) => list(gateway, request, resource).await,
        (&Method::GET, [id]) => {
            let record = resource::find(gateway, request, id, "get").await?;
            ok(Ok(view::detail(gateway, request, resource, &record)))
        }
        (&Method::PATCH, [id]) => ok(stop(gateway, request, resource, id).await),
        (&Method::DELETE, [id]) if is_session => {
            let record = resource::find(gateway, request, id, "delete").await?;
            no_content(records::delete(gateway, record).await)
        }
        (&Method::POST, [id, "public-share"]) if is_session => {
            created(public_share::create(gateway, request, id).await)
        }
        (&Method::GET, [id, "public-share"]) if is_session => {
            ok(public_share::get(gateway, request, id).await)
        }
        (&Method::DELETE, [id, "public-share"]) if is_session => {
            no_content(public_share::delete(gateway, request, id).await)
        }
        (_, [_, "downloads", ..] | [_, "purge"]) => {
            Err(Problem::NotImplemented("nothing of a session is kept in this version".to_owned()))
        }
        (_, [] | [_] | [_, "public-share"]) => Err(Problem::MethodNotAllowed),
        _ => Err(Problem::NotFound("Not Found".to_owned())),
    }
}

fn ok(answer: Result<impl Serialize, Problem>) -> Result<Response, Problem> {
    answer.map(|body| json_reply(StatusCode::OK, &body))
}

fn created(answer: Result<impl Serialize, Problem>) -> Result<Response, Problem> {
    answer.map(|body| json_reply(StatusCode::CREATED, &body))
}

fn no_content(answer: Result<(), Problem>) -> Result<Response, Problem> {
    answer.map(|()| StatusCode::NO_CONTENT.into_response())
}

fn not_ours(what: &str) -> Problem {
    Problem::NotImplemented(format!(
        "this gateway has browsers and runs no agents: {what} are not its to serve"
    ))
}
