//! `GET /v1/sessions/{id}/debug`: where DevTools reach the browser and its pages.

use crds::Phase;
use http::StatusCode;
use serde_json::{Value, json};
use warp::reply::Response;

use super::api::API;
use crate::{
    front::{
        cdp,
        hosted::{
            authorize::authorize,
            links::{signing_key, websocket_base},
            problem::Problem,
            records,
            request::Request,
            serve::{held_json, json_reply},
        },
    },
    state::Gateway,
};

pub async fn debug_urls(
    gateway: &Gateway,
    request: &Request,
    id: &str,
) -> Result<Response, Problem> {
    let caller = authorize(gateway, request, &API, "get").await?;
    let record = records::find(gateway, &caller, id).await?;
    let session =
        gateway.directory.find(&record.id).await.map_err(|error| match record.phase() {
            Phase::Pending | Phase::Starting => {
                Problem::NotFound("the session has no browser yet".to_owned())
            }
            _ => Problem::Gone(error.message),
        })?;
    let (base, key) = (websocket_base(gateway, request), signing_key(gateway, &record));
    let socket = |path: &str| format!("{base}/cdp/{}{path}?signingKey={key}", record.id);
    let (pages, turn) = cdp::pages(gateway, &session)
        .await
        .map_err(|error| Problem::Failed(format!("the browser gave no answer: {error}")))?;
    let pages: Vec<Value> = pages
        .into_iter()
        .map(|page| {
            let url = inspector(&socket(&format!("/devtools/page/{}", page.id)));
            json!({
                "id": page.id, "url": page.url, "title": page.title, "faviconUrl": page.favicon_url,
                "debuggerUrl": url, "debuggerFullscreenUrl": url,
            })
        })
        .collect();
    let first = pages.first().map_or(Value::Null, |page| page["debuggerUrl"].clone());
    let body = json!({
        "debuggerUrl": first, "debuggerFullscreenUrl": first, "wsUrl": socket(""), "pages": pages,
    });
    match turn {
        Some(turn) => held_json(gateway, &body, turn),
        None => Ok(json_reply(StatusCode::OK, &body)),
    }
}

/// The URL of Chrome's built-in inspector for a page's socket, for the address bar of another Chrome.
fn inspector(socket: &str) -> String {
    let (scheme, rest) = socket.split_once("://").unwrap_or(("ws", socket));
    let rest: String = url::form_urlencoded::byte_serialize(rest.as_bytes()).collect();
    format!("devtools://devtools/bundled/inspector.html?{scheme}={rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inspector_gets_the_socket_as_one_parameter() {
        assert_eq!(
            inspector("wss://h/cdp/i?signingKey=a"),
            "devtools://devtools/bundled/inspector.html?wss=h%2Fcdp%2Fi%3FsigningKey%3Da"
        );
    }
}
