//! Runs a service's handler and turns what it returns into a response.

use std::sync::Arc;

use http::{HeaderValue, StatusCode, header};
use net::request::IncomingRequest;
use serde::Serialize;
use serde_json::Value;
use warp::{Reply, reply::Response};

use super::{problem::Problem, request::Request};
use crate::{
    state::Gateway,
    traffic::{Turn, held},
};

const SHOULD_RETRY: &str = "x-should-retry";

/// A service's own status and body for a problem.
type RenderProblem = fn(&Problem) -> (StatusCode, Value);

/// Answers one request.
pub async fn serve(
    gateway: Arc<Gateway>,
    incoming: IncomingRequest,
    render_problem: RenderProblem,
    handler: impl AsyncFnOnce(&Gateway, &Request) -> Result<Response, Problem>,
) -> Response {
    let request = Request::new(incoming);
    let result = handler(&gateway, &request).await;
    request.drain().await;
    result.unwrap_or_else(|problem| refuse(&problem, render_problem))
}

/// Refuses, and says where another try may do better.
pub fn refuse(problem: &Problem, render_problem: RenderProblem) -> Response {
    let mut response = render(render_problem(problem));
    if let Problem::Throttled(_, wait) = problem {
        let seconds = HeaderValue::from(wait.as_secs().max(1));
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
        response.headers_mut().remove(SHOULD_RETRY);
    }
    response
}

fn render((status, body): (StatusCode, Value)) -> Response {
    let mut response = json_reply(status, &body);
    let headers = response.headers_mut();
    // Both services' clients retry 429 and 5xx within seconds. Capacity is seldom back so soon, and what is not implemented
    // never is.
    if [StatusCode::TOO_MANY_REQUESTS, StatusCode::NOT_IMPLEMENTED].contains(&status) {
        headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
    }
    if status == StatusCode::TOO_MANY_REQUESTS {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("30"));
    }
    response
}

pub fn json_reply(status: StatusCode, body: &impl Serialize) -> Response {
    warp::reply::with_status(warp::reply::json(body), status).into_response()
}

/// A large answer, whose turn is over once it is written.
pub fn held_json(
    gateway: &Gateway,
    body: &impl Serialize,
    turn: Turn,
) -> Result<Response, Problem> {
    let json = serde_json::to_vec(body)
        .map_err(|error| Problem::Failed(format!("the answer is no JSON: {error}")))?;
    Ok(held(StatusCode::OK, "application/json", json.into(), turn, &gateway.tasks))
}
