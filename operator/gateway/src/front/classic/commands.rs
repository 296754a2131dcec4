//! WebDriver's commands: New Session and Status are answered here, the others by the session's agent.

use std::sync::Arc;

use net::{agent, body::drain, request::IncomingRequest};
use serde_json::json;
use warp::{Reply, reply::Response};
use webdriver::{
    error::{ErrorCode, WebDriverError},
    reply,
    route::{self, Route},
};

use super::{
    content_type::check_content_type,
    new_session::new_session,
    refuse::{failure, refuse, refuse_body},
};
use crate::{front::credentials, session::LiveSession, shown::shown, state::Gateway, traffic};

/// Answers one command.
pub async fn run(gateway: Arc<Gateway>, incoming: IncomingRequest) -> Response {
    let path = incoming.path.clone();
    match route::classic(&incoming.method, &path) {
        Route::Status => {
            drain(incoming.body).await;
            status(&gateway)
        }
        // Large, and no command waits in it.
        Route::NewSession => Box::pin(new_session(&gateway, incoming)).await,
        Route::DeleteSession { id } => delete_session(&gateway, id, incoming).await,
        Route::Command { id, .. } => command(&gateway, id, incoming).await,
        Route::UnknownCommand => {
            let message = format!("no command has the path {}", shown(&path));
            refuse(incoming, &WebDriverError::new(ErrorCode::UnknownCommand, message)).await
        }
        Route::UnknownMethod => {
            let (method, path) = (shown(incoming.method.as_str()), shown(&path));
            let message = format!("{method} is no method of the command at {path}");
            refuse(incoming, &WebDriverError::new(ErrorCode::UnknownMethod, message)).await
        }
    }
}

fn status(gateway: &Gateway) -> Response {
    let (ready, message) = gateway.status();
    reply::success(&json!({"ready": ready, "message": message})).into_response()
}

async fn delete_session(gateway: &Gateway, id: &str, incoming: IncomingRequest) -> Response {
    let session = match gateway.directory.find(id).await {
        Ok(session) => session,
        Err(error) => return refuse(incoming, &error).await,
    };
    let response = forward(gateway, &session, incoming).await;
    if response.status().is_success() {
        gateway.directory.end_by_client(id);
    }
    response
}

async fn command(gateway: &Gateway, id: &str, incoming: IncomingRequest) -> Response {
    match gateway.directory.find(id).await {
        Ok(session) => match check_content_type(&incoming.headers) {
            Ok(()) => forward(gateway, &session, incoming).await,
            Err(error) => refuse(incoming, &error).await,
        },
        Err(error) => refuse(incoming, &error).await,
    }
}

async fn forward(gateway: &Gateway, session: &LiveSession, incoming: IncomingRequest) -> Response {
    let target = incoming.target(route::without_hub(&incoming.path));
    let IncomingRequest { method, mut headers, body, .. } = incoming;
    credentials::remove(&mut headers);
    match traffic::forward(session, method, &target, headers, body).await {
        Ok(response) => response,
        Err(error) => no_answer(gateway, session, &error).await,
    }
}

/// A session that has not ended is left alone: one failure of its pod is no end.
async fn no_answer(gateway: &Gateway, session: &LiveSession, error: &agent::Error) -> Response {
    if let agent::Error::Request(fault) = error {
        return refuse_body(fault);
    }
    if let Some(end) = gateway.end_of_unreachable(session).await {
        return failure(&end);
    }
    let cause = error as &dyn std::error::Error;
    tracing::warn!(uid = session.uid, error = cause, "the browser's pod gave no answer");
    let message = format!("the browser's pod gave no answer: {error}");
    failure(&WebDriverError::new(ErrorCode::UnknownError, message))
}
