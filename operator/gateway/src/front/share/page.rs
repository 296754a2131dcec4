//! The pages of a share, and the headers of this front's responses.

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use warp::reply::Response;

const PAGE: &str = include_str!("page.html");
const LIVE: &str = include_str!("live.html");
const ENDED: &str = include_str!("ended.html");
const NOT_SHARED: &str = include_str!("not_shared.html");
const PROGRAM: &str = include_str!("view.js");

/// A header of the page of a session that lives.
const LIVES: &str = "x-session-lives";

/// The page that shows pictures from this path. It is relative, so that a prefix that a proxy puts before this gateway's paths stays.
pub fn live(picture_path: &str) -> Response {
    let mut page = page(StatusCode::OK, &LIVE.replace("{picture}", picture_path));
    page.headers_mut().insert(LIVES, HeaderValue::from_static("true"));
    page
}

pub fn ended(reason: &str) -> Response {
    // Whoever may patch sessions may have written any word.
    let reason: String = reason.chars().filter(char::is_ascii_alphanumeric).collect();
    page(StatusCode::OK, &ENDED.replace("{reason}", &reason))
}

pub fn not_shared() -> Response {
    page(StatusCode::NOT_FOUND, NOT_SHARED)
}

/// The script of the page that shows pictures.
pub fn program() -> Response {
    with_type(PROGRAM, "text/javascript; charset=utf-8")
}

pub fn with_type(body: impl Into<Bytes>, content_type: &'static str) -> Response {
    let mut response = Response::new(body.into().into());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// The URL is a secret of those who have it, and the page runs no program but this gateway's.
pub fn lock_down(mut response: Response) -> Response {
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

fn page(status: StatusCode, body: &str) -> Response {
    let text = PAGE.replace("{body}", body.trim_end());
    let mut response = with_type(text, "text/html; charset=utf-8");
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    async fn text(response: Response) -> String {
        let body = response.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_page_has_its_content_and_of_a_reason_only_its_letters() {
        let live = text(live("token/screen")).await;
        assert!(live.contains(r#"<img alt="The browser" data-src="token/screen">"#), "{live}");
        assert!(live.contains(r#"<script src="view.js"></script>"#), "{live}");
        let ended = text(ended("Idle<script>")).await;
        assert!(ended.contains("<p>This session has ended: Idlescript.</p>"), "{ended}");
        let not_shared = text(not_shared()).await;
        assert!(not_shared.contains("<p>Nothing is shared here.</p>"), "{not_shared}");
        for page in [live, ended, not_shared] {
            assert!(page.starts_with("<!doctype html>\n"), "{page}");
            assert!(!page.contains("{body}"), "{page}");
        }
    }
}
