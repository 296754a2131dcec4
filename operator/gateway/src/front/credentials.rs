//! The credentials of every front, which nobody behind this gateway may see.

use http::{HeaderMap, HeaderName};

use super::{browser_use, browserbase, hosted};

/// What the fronts add to HTTP's own, which [`net::forward::request`] removes.
const HEADERS: [HeaderName; 4] = [
    browserbase::headers::API_KEY,
    hosted::links::SIGNING_KEY,
    browserbase::headers::SESSION_ID,
    browser_use::headers::API_KEY,
];

pub fn remove(headers: &mut HeaderMap) {
    for name in &HEADERS {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_fronts_credentials_go_and_the_rest_stays() {
        let names =
            ["x-bb-api-key", "x-bb-signing-key", "session-id", "x-browser-use-api-key", "x-other"];
        let mut headers: HeaderMap = names
            .into_iter()
            .map(|name| (HeaderName::from_static(name), HeaderValue::from_static("v")))
            .collect();
        remove(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-other"]);
    }
}
