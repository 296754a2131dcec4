//! What a share of a session shows, to whoever has its URL: a page with a picture of the browser's page, again and again. A URL may
//! get around, so what it costs does not grow with how many look.

use std::{sync::Arc, time::Duration};

use agent_api::paths::SCREEN_PATH;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use net::{
    body::{collect_within, drain, empty},
    request::IncomingRequest,
};
use support::ttl_cache::TtlCache;
use tokio::{
    sync::Semaphore,
    time::{sleep, timeout},
};
use warp::{Reply, reply::Response};

use crate::state::Gateway;
use crate::{
    session::{LiveSession, SharedSession, share},
    traffic,
};

const PREFIX: &str = "/share/";
/// The path of the page's program.
const PROGRAM_PATH: &str = "/share/view.js";
/// Behind a share: the picture.
const SCREEN: &str = "/screen";
/// The most bytes of a picture, and how long it may take.
const MAX_PICTURE: usize = 4 << 20;
const LIMIT: Duration = Duration::from_secs(8);
/// How long a picture, or that there is none, is told again.
const FRESH: Duration = Duration::from_secs(1);
/// How many of one session may wait for a picture.
const VIEWERS: usize = 64;
/// How long looks are counted here before they are written.
const COUNTED: Duration = Duration::from_secs(5);
/// What a page has in its headers whose session lives.
const LIVES: &str = "x-session-lives";
/// Those who ask about a share that this replica has not heard of.
static ASKING: Semaphore = Semaphore::const_new(4);

/// A picture, and two seconds after it the next. One that does not come, as while a dialog is open, leaves the last.
const PROGRAM: &str = "\
const shown = document.querySelector('img');
const next = () => setTimeout(load, 2000);
const load = () => {
  const screen = new Image();
  screen.onload = () => { shown.src = screen.src; next(); };
  screen.onerror = async () => {
    try {
      const answer = await fetch(location.href, {method: 'HEAD', cache: 'no-store'});
      const over = answer.status === 404 || (answer.ok && !answer.headers.has('x-session-lives'));
      if (over) setTimeout(() => location.reload(), 2000); else next();
    } catch { next(); }
  };
  screen.src = shown.dataset.src + '?' + Date.now();
};
load();
";

/// The last picture of a session that was shown here, if there was one, and when.
#[derive(Debug)]
pub struct Screen {
    last: TtlCache<Option<Bytes>>,
    viewers: Semaphore,
}

impl Default for Screen {
    fn default() -> Self {
        Self { last: TtlCache::default(), viewers: Semaphore::new(VIEWERS) }
    }
}

/// Whether a path is of this front.
pub fn is_path(path: &str) -> bool {
    path.starts_with(PREFIX)
}

/// Answers.
pub async fn run(gateway: Arc<Gateway>, incoming: IncomingRequest) -> Response {
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
            Some(SharedSession::Lives(_)) if head => StatusCode::OK.into_response(),
            Some(SharedSession::Lives(entry)) => picture(&entry).await,
            _ => StatusCode::NOT_FOUND.into_response(),
        },
        None => match gateway.directory.shared(share) {
            Some(SharedSession::Lives(entry)) => view(&gateway, &entry, share, head),
            Some(SharedSession::Unknown(entry, nonce))
                if is_new(&gateway, &entry, &nonce).await =>
            {
                view(&gateway, &entry, share, head)
            }
            Some(SharedSession::Ended(over)) => {
                let reason = word(&over.reason);
                page(StatusCode::OK, &format!("<p>This session has ended: {reason}.</p>"))
            }
            Some(SharedSession::Unknown(..)) | None => {
                page(StatusCode::NOT_FOUND, "<p>Nothing is shared here.</p>")
            }
        },
    })
}

fn view(gateway: &Gateway, entry: &Arc<LiveSession>, share: &str, head: bool) -> Response {
    if !head {
        count(gateway, entry);
    }
    // Relative: whatever prefix a proxy puts before this gateway's paths stays.
    let body = format!(
        "<img alt=\"The browser\" data-src=\"{share}{SCREEN}\">\n<script src=\"view.js\"></script>"
    );
    let mut page = page(StatusCode::OK, &body);
    page.headers_mut().insert(LIVES, HeaderValue::from_static("true"));
    page
}

/// Whether a share is so new that only the API server knows it. A few are asked about at a time, and nobody waits: one that was
/// taken back is shown by whoever still has it.
async fn is_new(gateway: &Gateway, entry: &LiveSession, nonce: &str) -> bool {
    let Ok(_turn) = ASKING.try_acquire() else { return false };
    let known = share::is(&gateway.sessions.client, entry, nonce).await;
    known.unwrap_or_else(|error| {
        tracing::warn!(error = &error as &dyn std::error::Error, "a share");
        false
    })
}

/// Counts a look. It is written with those that come meanwhile: one write for a session in so many seconds.
fn count(gateway: &Gateway, entry: &Arc<LiveSession>) {
    let now = (gateway.clock)();
    {
        let mut views = entry.views.lock();
        views.add(now);
        if std::mem::replace(&mut views.is_being_written, true) {
            return;
        }
    }
    let (entry, client) = (entry.clone(), gateway.sessions.client.clone());
    let closing = gateway.closing.clone();
    gateway.tasks.spawn(async move {
        tokio::select! {
            () = sleep(COUNTED) => {}
            () = closing.cancelled() => {}
        }
        let views = std::mem::take(&mut *entry.views.lock());
        match share::viewed(&client, &entry, &views).await {
            Ok(()) => {}
            // Its record is gone, and with it the count.
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "looks at a share are not counted");
            }
        }
    });
}

/// One at a time for each session: whoever comes meanwhile gets the same.
async fn picture(entry: &LiveSession) -> Response {
    let Ok(_waits) = entry.screen.viewers.try_acquire() else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let taking = async {
        let taken = timeout(LIMIT, take(entry)).await;
        taken.unwrap_or_else(|slow| Err(slow.to_string())).map_or_else(
            |error| {
                tracing::debug!(error, "no picture");
                None
            },
            Some,
        )
    };
    let picture = entry.screen.last.get(FRESH, taking).await;
    match picture {
        Some(picture) => typed(picture, "image/jpeg"),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn take(entry: &LiveSession) -> Result<Bytes, String> {
    let asking = traffic::command(entry, Method::GET, SCREEN_PATH, HeaderMap::new(), empty());
    let answer = asking.await.map_err(|error| error.to_string())?;
    if answer.status() != StatusCode::OK {
        return Err(format!("the agent answered with status {}", answer.status()));
    }
    let bytes = collect_within(answer.into_body(), MAX_PICTURE, LIMIT).await;
    bytes.map_err(|error| error.to_string())
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
fn word(text: &str) -> String {
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
