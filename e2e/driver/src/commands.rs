//! WebDriver Classic, in chromedriver's envelopes.

use bytes::Bytes;
use echo_driver::{Checksum, text};
use futures::stream;
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{self, HeaderName},
};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Error,
    body::{Body as _, Frame, Incoming},
};
use serde_json::{Value, json};

use crate::bidi;

type Body = UnsyncBoxBody<Bytes, Error>;

/// The id of the only session.
const SESSION: &str = "b0b0c0c0d0d0e0e0f0f0a0a0b0b0c0c0";
/// The key of an element (WebDriver, section "Elements").
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

pub struct Driver {
    pub port: u16,
}

impl Driver {
    pub async fn answer(&self, request: Request<Incoming>) -> Result<Response<Body>, Error> {
        if request.headers().contains_key(header::UPGRADE) {
            return Ok(
                bidi::open(request).map(|body| body.map_err(|never| match never {}).boxed_unsync())
            );
        }
        let (parts, mut body) = request.into_parts();
        let path: Vec<&str> = parts.uri.path().split('/').skip(1).collect();
        let value = match (&parts.method, path.as_slice()) {
            (&Method::POST, ["session"]) => self.new_session(&body.collect().await?.to_bytes()),
            (_, ["status"]) => json!({"ready": true, "message": "it echoes"}),
            (&Method::POST, ["session", _, "execute", "sync"]) => {
                let mut checksum = Checksum::default();
                while let Some(frame) = body.frame().await {
                    if let Ok(data) = frame?.into_data() {
                        checksum.add(&data);
                    }
                }
                checksum.json()
            }
            (&Method::GET, ["session", _, "element", length, "text"]) => {
                return Ok(match length.parse() {
                    Ok(length) => long(length),
                    Err(_) => no_such_element(),
                });
            }
            (&Method::POST, ["session", _, "element"]) => {
                body.collect().await?;
                json!({ELEMENT: "1"})
            }
            (&Method::GET, ["session", _, "title"]) => json!("echo"),
            (&Method::GET, ["session", _, "url"]) => json!("about:blank"),
            _ => {
                if !body.is_end_stream() {
                    body.collect().await?;
                }
                Value::Null
            }
        };
        Ok(reply(StatusCode::OK, json!({"value": value})))
    }

    fn new_session(&self, body: &[u8]) -> Value {
        let asked: Value = serde_json::from_slice(body).unwrap_or_default();
        let mut capabilities = json!({
            "acceptInsecureCerts": false,
            "browserName": "chrome",
            "browserVersion": "1.0",
            "goog:chromeOptions": {},
            "pageLoadStrategy": "normal",
            "platformName": "linux",
            "proxy": {},
            "setWindowRect": true,
            "strictFileInteractability": false,
            "timeouts": {"implicit": 0, "pageLoad": 300_000, "script": 30_000},
            "unhandledPromptBehavior": "dismiss and notify",
        });
        let mut parameters = asked.clone();
        if let Some(parameters) = parameters.as_object_mut() {
            parameters.remove("capabilities");
        }
        capabilities["echo:parameters"] = parameters;
        if asked["capabilities"]["alwaysMatch"]["webSocketUrl"] == true {
            let url = format!("ws://127.0.0.1:{}/session/{SESSION}", self.port);
            capabilities["webSocketUrl"] = url.into();
        }
        json!({"capabilities": capabilities, "sessionId": SESSION})
    }
}

fn no_such_element() -> Response<Body> {
    let value = json!({"error": "no such element", "message": "an element's id is the length of its text", "stacktrace": ""});
    reply(StatusCode::NOT_FOUND, json!({"value": value}))
}

fn reply(status: StatusCode, value: Value) -> Response<Body> {
    let body = Full::from(value.to_string()).map_err(|never| match never {}).boxed_unsync();
    with_headers(status, body)
}

/// A text of that length, generated in pieces.
fn long(length: u64) -> Response<Body> {
    let (before, after) = (Bytes::from_static(b"{\"value\":\""), Bytes::from_static(b"\"}"));
    let whole = before.len() as u64 + length + after.len() as u64;
    let pieces = [before].into_iter().chain(text(length)).chain([after]);
    let frames = stream::iter(pieces.map(|piece| Ok(Frame::data(piece))));
    let mut response = with_headers(StatusCode::OK, StreamBody::new(frames).boxed_unsync());
    response.headers_mut().insert(header::CONTENT_LENGTH, whole.into());
    response
}

const HEADERS: [(HeaderName, HeaderValue); 2] = [
    (header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
];

fn with_headers(status: StatusCode, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().extend(HEADERS);
    response
}
