//! What a share of a session shows, to whoever has its URL: a page with a picture of the browser's page, again and again.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use runtime::http::{
    collect::{collect_within, drain},
    forward::empty,
    incoming::Incoming,
};
use tokio::{sync::Semaphore, time::timeout};
use warp::{Reply, reply::Response};
use wire::bind::SCREEN_PATH;

use super::Gateway;
use crate::{
    directory::{Entry, Shown},
    proxy, share,
};

const PREFIX: &str = "/share/";
/// The path of the page's program.
const PROGRAM_PATH: &str = "/share/view.js";
/// Behind a share: the picture.
const SCREEN: &str = "/screen";
/// The most bytes of a picture, and how long it may take.
const MAX_PICTURE: usize = 16 << 20;
const LIMIT: Duration = Duration::from_secs(8);

/// What a page has in its headers whose session lives.
const LIVES: &str = "x-session-lives";
static ASKING: Semaphore = Semaphore::const_new(4);

/// A picture, and two seconds after it the next.
const PROGRAM: &str = "\
const screen = document.querySelector('img');
const again = () => setTimeout(() => { screen.src = screen.dataset.src + '?' + Date.now() }, 2000);
screen.onload = again;
screen.onerror = async () => {
  const answer = await fetch(location.href, {method: 'HEAD'});
  if (answer.status === 200 && answer.headers.has('x-session-lives')) again(); else location.reload();
};
screen.src = screen.dataset.src;
";

/// Whether a path is of this front.
pub fn is_path(path: &str) -> bool {
    path.starts_with(PREFIX)
}

/// Answers.
pub async fn run(gateway: Arc<Gateway>, incoming: Incoming) -> Response {
    drain(incoming.body).await;
    let head = incoming.method == Method::HEAD;
    if !head && incoming.method != Method::GET {
        return closed(StatusCode::METHOD_NOT_ALLOWED.into_response());
    }
    if incoming.path == PROGRAM_PATH {
        return closed(typed(PROGRAM, "text/javascript; charset=utf-8"));
    }
    let share = incoming.path.strip_prefix(PREFIX).unwrap_or_default();
    closed(match share.strip_suffix(SCREEN) {
        Some(share) => match gateway.directory.shared(share) {
            Some(Shown::Lives(entry)) => picture(&entry).await,
            _ => StatusCode::NOT_FOUND.into_response(),
        },
        None => match gateway.directory.shared(share) {
            Some(Shown::Lives(entry)) => view(&gateway, &entry, share, head).await,
            Some(Shown::Unknown(entry, nonce)) if is_new(&gateway, &entry, &nonce).await => {
                view(&gateway, &entry, share, head).await
            }
            Some(Shown::Over(over)) => {
                let reason = escape(&over.reason);
                page(StatusCode::OK, &format!("<p>This session has ended: {reason}.</p>"))
            }
            Some(Shown::Unknown(..)) | None => {
                page(StatusCode::NOT_FOUND, "<p>Nothing is shared here.</p>")
            }
        },
    })
}

async fn view(gateway: &Gateway, entry: &Entry, share: &str, head: bool) -> Response {
    if !head {
        count(gateway, entry).await;
    }
    let body = format!(
        "<img alt=\"The browser\" data-src=\"{PREFIX}{share}{SCREEN}\">\n<script src=\"{PROGRAM_PATH}\"></script>"
    );
    let mut page = page(StatusCode::OK, &body);
    page.headers_mut().insert(LIVES, HeaderValue::from_static("true"));
    page
}

/// Whether a share is so new that only the API server knows it. A few are asked about at a time: one that was taken back is shown
/// by whoever still has it.
async fn is_new(gateway: &Gateway, entry: &Entry, nonce: &str) -> bool {
    let Ok(_turn) = ASKING.acquire().await else { return false };
    let client = &gateway.sessions.client;
    let known = share::is(client, &entry.namespace, &entry.name, nonce).await;
    known.unwrap_or_else(|error| {
        tracing::warn!(error = &error as &dyn std::error::Error, "a share");
        false
    })
}

/// A look that cannot be counted is one all the same.
async fn count(gateway: &Gateway, entry: &Entry) {
    let now = (gateway.clock)();
    let client = &gateway.sessions.client;
    if let Err(error) = share::viewed(client, &entry.namespace, &entry.name, now).await {
        let error = &error as &dyn std::error::Error;
        tracing::warn!(error, "a look at a share is not counted");
    }
}

async fn picture(entry: &Entry) -> Response {
    let taking = async {
        let asking = proxy::command(entry, Method::GET, SCREEN_PATH, HeaderMap::new(), empty());
        let answer = asking.await.map_err(|error| error.to_string())?;
        if answer.status() != StatusCode::OK {
            return Err(format!("the agent answered with status {}", answer.status()));
        }
        let bytes = collect_within(answer.into_body(), MAX_PICTURE, LIMIT).await;
        bytes.map_err(|error| error.to_string())
    };
    match timeout(LIMIT, taking).await {
        Ok(Ok(bytes)) => typed(bytes, "image/jpeg"),
        Ok(Err(error)) => {
            tracing::debug!(error, "no picture");
            StatusCode::NOT_FOUND.into_response()
        }
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}

fn page(status: StatusCode, body: &str) -> Response {
    let style = "body{margin:0;background:#222;color:#eee;font-family:sans-serif}\
        img{display:block;margin:auto;max-width:100%;max-height:100vh}p{padding:2em}";
    let text = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Browser session</title>\
        <style>{style}</style>\n{body}\n</html>\n"
    );
    let mut response = typed(text, "text/html; charset=utf-8");
    *response.status_mut() = status;
    response
}

/// A reason's word may be anybody's: it stands in an annotation that ends a session.
fn escape(text: &str) -> String {
    text.chars().filter(|letter| letter.is_ascii_alphanumeric()).collect()
}

fn typed(body: impl Into<Bytes>, type_: &'static str) -> Response {
    let mut response = Response::new(body.into().into());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(type_));
    response
}

/// The URL is a secret of whoever was given it; a page of this gateway's runs nobody else's program.
fn closed(mut response: Response) -> Response {
    for (name, value) in [
        ("cache-control", "no-store"),
        (
            "content-security-policy",
            "default-src 'none'; img-src 'self'; script-src 'self'; style-src 'unsafe-inline'; \
                connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
        ("cross-origin-resource-policy", "same-origin"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("x-robots-tag", "noindex"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
