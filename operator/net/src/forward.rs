//! Carrying a request to another server and its reply back, without holding either in memory.

use http::{HeaderMap, HeaderName, Method, Request, Uri, header};
use http_body_util::BodyDataStream;
use hyper::body::Incoming;
use warp::{Reply, reply::Response};

use crate::Body;

/// What a client proves itself with by HTTP's own means, and nobody behind a gateway may see.
const CREDENTIALS: [HeaderName; 2] = [header::AUTHORIZATION, header::COOKIE];

/// Headers that belong to one connection (RFC 9110, section 7.6.1), and `Host`, which the client sets anew.
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
    header::HOST,
];

/// The request to send on, with the client's headers but those of its connection and its credentials. Path and query
/// stay as they are.
#[must_use]
pub fn request(method: Method, uri: Uri, mut headers: HeaderMap, body: Body) -> Request<Body> {
    remove_hop_by_hop(&mut headers);
    for name in &CREDENTIALS {
        headers.remove(name);
    }
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    request
}

/// The reply to send back, whose body is streamed.
#[must_use]
pub fn reply(response: http::Response<Incoming>) -> Response {
    let (mut parts, body) = response.into_parts();
    remove_hop_by_hop(&mut parts.headers);
    let mut reply = warp::reply::stream(BodyDataStream::new(body)).into_response();
    *reply.status_mut() = parts.status;
    *reply.headers_mut() = parts.headers;
    reply
}

/// Removes the headers that belong to one connection.
pub fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in HOP_BY_HOP.iter().chain(&named) {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::full;
    use http::HeaderValue;

    #[test]
    fn what_belongs_to_one_connection_is_not_carried_on() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "keep-alive, x-hop"),
            ("x-hop", "1"),
            ("host", "gateway"),
            ("authorization", "Bearer secret"),
            ("cookie", "a=b"),
            ("content-type", "application/json"),
            ("content-length", "2"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let uri = Uri::from_static("http://agent/session/a/url?b=%2F");
        let request = request(Method::POST, uri, headers, full("{}"));
        let mut names: Vec<&str> = request.headers().keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-length", "content-type"]);
        assert_eq!(request.uri(), "http://agent/session/a/url?b=%2F");
    }
}
