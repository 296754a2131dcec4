//! `GET /`: what this is, for whoever opens the base URL.

use http::{HeaderMap, HeaderValue, header};
use serde_json::json;
use warp::{Reply, reply::Response};

const HTML: &str = include_str!("root.html");
const TEXT: &str = include_str!("root.txt");

/// Each path with what is there.
const PATHS: [(&str, &str); 6] = [
    ("/session", "WebDriver Classic by POST, WebDriver BiDi by WebSocket; also under /wd/hub"),
    ("/v1/sessions", "the Browserbase API"),
    ("/api/v2/browsers", "the Browser Use API; also under /api/v3 and /api/v4"),
    ("/cdp/{id}", "a session's DevTools, with its signing key"),
    ("/status", "whether sessions can be created"),
    ("/openapi.json", "the two REST APIs"),
];

/// A page for people, JSON for programs that ask for it, else text.
pub fn answer(headers: &HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let mut response = match kind(accept.unwrap_or_default()) {
        Kind::Html => typed(HTML, "text/html; charset=utf-8"),
        Kind::Text => typed(TEXT, "text/plain; charset=utf-8"),
        Kind::Json => {
            let paths: serde_json::Map<_, _> =
                PATHS.iter().map(|(path, what)| ((*path).to_owned(), (*what).into())).collect();
            warp::reply::json(&json!({"name": "browser-operator gateway", "paths": paths}))
                .into_response()
        }
    };
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("Accept"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'"));
    response
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Html,
    Json,
    Text,
}

fn kind(accept: &str) -> Kind {
    if accept.contains("text/html") {
        Kind::Html
    } else if accept.contains("application/json") {
        Kind::Json
    } else {
        Kind::Text
    }
}

fn typed(body: &'static str, content_type: &'static str) -> Response {
    let content_type = HeaderValue::from_static(content_type);
    warp::reply::with_header(body, header::CONTENT_TYPE, content_type).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_get_a_page_and_programs_what_they_ask_for() {
        for (accept, expected) in [
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Kind::Html),
            ("application/json; charset=utf-8", Kind::Json),
            ("*/*", Kind::Text),
            ("", Kind::Text),
        ] {
            assert_eq!(kind(accept), expected, "{accept}");
        }
    }

    #[test]
    fn every_form_names_every_path() {
        for (path, _) in PATHS {
            assert!(HTML.contains(path) && TEXT.contains(path), "{path}");
        }
    }
}
