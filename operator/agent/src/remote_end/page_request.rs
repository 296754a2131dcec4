//! Finds the requests of web pages on a connection that did not come through the gateway: the agent of an exposed session is
//! reached by whoever reaches its Service, and a browser's own pages reach the agent beside it.

use http::{HeaderMap, header};
use webdriver::error::{ErrorCode, WebDriverError};

/// What a form can send without asking first (Fetch, "CORS-safelisted request-header").
const FORMS: [&str; 3] = ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"];

/// The error for a request that a page may have sent; `None`: a client's. Client libraries send neither Origin nor Fetch
/// Metadata; a browser sends an Origin with each POST and each socket.
pub fn error(headers: &HeaderMap) -> Option<WebDriverError> {
    if headers.contains_key(header::ORIGIN) || headers.contains_key("sec-fetch-site") {
        let message =
            "a web page may not drive a session: this request has an Origin or a Sec-Fetch-Site";
        return Some(WebDriverError::new(ErrorCode::UnknownError, message));
    }
    let sent = headers.get(header::CONTENT_TYPE)?.to_str().unwrap_or_default();
    let essence = sent.split(';').next().unwrap_or_default().trim();
    FORMS.iter().any(|form| essence.eq_ignore_ascii_case(form)).then(|| {
        WebDriverError::invalid_argument(format!(
            "Content-Type is {essence}; it must be application/json, or absent"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pages_request_is_known_by_what_browsers_add() {
        for (name, value, refused) in [
            ("origin", "http://127.0.0.1:4444", true),
            ("origin", "null", true),
            ("sec-fetch-site", "none", true),
            ("sec-fetch-site", "same-origin", true),
            ("content-type", "text/plain;charset=UTF-8", true),
            ("content-type", "multipart/form-data; boundary=x", true),
            ("content-type", "application/json", false),
            ("host", "10.0.0.7:4444", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            assert_eq!(error(&headers).is_some(), refused, "{name}: {value}");
        }
    }
}
