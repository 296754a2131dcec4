//! Cross-origin requests of the web pages that `allowedOrigins` names (Fetch, section "HTTP-CORS protocol"). No credentials of the
//! browser's own are ever let through: a page sends its key itself.

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use warp::{Reply, reply::Response};

const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";
/// What a page may read of a reply beside the headers that it always may.
const EXPOSED: &str = "retry-after, www-authenticate, x-should-retry";
/// Seconds for which a browser need not ask again.
const MAX_AGE: u16 = 600;

/// The answer to a browser's question whether a page may send a request; `None` where the request is none. Its origin is allowed.
pub fn preflight(method: &Method, headers: &HeaderMap) -> Option<Response> {
    if *method != Method::OPTIONS || !headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
        return None;
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    let answer = response.headers_mut();
    answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
    // SDKs add headers of their own, and the page is trusted.
    if let Some(asked) = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
    }
    answer.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE.into());
    answer.append(header::VARY, HeaderValue::from_static("Access-Control-Request-Headers"));
    Some(response)
}

/// Lets the page of an allowed origin read a response. `origin`: `None` where no page has asked; a cache must know all the same that
/// the answer depends on it.
pub fn allow(origin: Option<HeaderValue>, response: &mut Response) {
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let exposed = HeaderValue::from_static(EXPOSED);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn a_preflight_names_what_the_page_asked_for_and_no_credentials() {
        let asked = headers(&[
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "x-bb-api-key,content-type"),
        ]);
        let mut response = preflight(&Method::OPTIONS, &asked).unwrap();
        allow(Some(HeaderValue::from_static("https://tools.example")), &mut response);
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        for (name, value) in [
            ("access-control-allow-origin", Some("https://tools.example")),
            ("access-control-allow-methods", Some(METHODS)),
            ("access-control-allow-headers", Some("x-bb-api-key,content-type")),
            ("access-control-max-age", Some("600")),
            ("access-control-allow-credentials", None),
        ] {
            let seen = response.headers().get(name).map(|value| value.to_str().unwrap());
            assert_eq!(seen, value, "{name}");
        }
        let vary: Vec<&HeaderValue> = response.headers().get_all(header::VARY).iter().collect();
        assert_eq!(vary, ["Access-Control-Request-Headers", "Origin"]);
        assert!(preflight(&Method::POST, &asked).is_none());
        assert!(preflight(&Method::OPTIONS, &HeaderMap::new()).is_none());
    }

    #[test]
    fn without_a_page_a_response_only_says_that_it_depends_on_one() {
        let mut response = StatusCode::OK.into_response();
        allow(None, &mut response);
        assert!(!response.headers().contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN));
        assert_eq!(response.headers()[header::VARY], "Origin");
    }
}
