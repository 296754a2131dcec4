//! One request on its way through a service: what no service may see is refused before it, a panic is answered after it, and
//! its connection waits for the next one when the answer's body is gone.

use std::{
    convert::Infallible,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures::FutureExt;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use hyper::body::{Body, Frame, SizeHint};
use tower::Service;
use warp::{Reply, reply::Response};

use crate::{
    activity::{Activity, Phase},
    places::{Full, Place},
};

/// What a request's headers may take, in bytes, before it needs a place of its own: that much for each, and their texts.
const LARGE_HEAD: usize = 16 << 10;
const HEADER: usize = 256;

pub fn has_large_head(headers: &HeaderMap) -> bool {
    let texts = headers.iter().map(|(name, value)| name.as_str().len() + value.len());
    texts.sum::<usize>() + HEADER * headers.len() > LARGE_HEAD
}

/// Answers one request. A panic costs this request alone; the process's hook reports it. `head`: the place of one with a large head.
pub fn answer<S, B>(
    mut service: S,
    request: Request<B>,
    activity: Arc<Activity>,
    head: Result<Option<Place>, Full>,
) -> impl Future<
    Output = http::Response<impl Body<Data = bytes::Bytes, Error: std::error::Error + Send + Sync>>,
>
where
    S: Service<Request<B>, Response = Response, Error = Infallible>,
{
    // At once: hyper reads on before it polls the answer, and a wait for headers would set a timer on every request's way.
    activity.set(Phase::Serving);
    async move {
        let response = if let Some(fault) = fault(&request) {
            warp::reply::with_status(fault, StatusCode::BAD_REQUEST).into_response()
        } else if head.is_err() {
            let text = "too many requests with large headers at a time";
            let again = HeaderValue::from_static("1");
            let reply = warp::reply::with_status(text, StatusCode::SERVICE_UNAVAILABLE);
            warp::reply::with_header(reply, header::RETRY_AFTER, again).into_response()
        } else {
            // The state that it shares with other requests is behind locks that a panic does not poison.
            let answering = async { service.call(request).await };
            match AssertUnwindSafe(answering).catch_unwind().await {
                Ok(Ok(response)) => response,
                Ok(Err(never)) => match never {},
                Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            }
        };
        // A connection that switches protocols stays with whoever serves the tunnel.
        let is_tunnel = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        let activity = (!is_tunnel).then_some(activity);
        response.map(|body| Answer { body, activity })
    }
}

/// The most bytes of a Host: a name, and a port. Answers have URLs that begin with it, some of them many.
const MAX_HOST: usize = 300;

/// Why no service may see a request.
fn fault<B>(request: &Request<B>) -> Option<&'static str> {
    if !asks_for_a_path(request) {
        return Some("the target of a request must be a path that begins with a slash");
    }
    // RFC 9112, section 3.2: of two, a proxy in between may have believed the other.
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let is_too_long = hosts.next().is_some_and(|host| host.len() > MAX_HOST);
    if hosts.next().is_some() {
        return Some("a request must have one Host");
    }
    is_too_long.then_some("the Host of a request must have at most 300 bytes")
}

/// RFC 9112, section 3.2, has targets without a path too: `CONNECT`'s, on which warp panics, and the asterisk.
fn asks_for_a_path<B>(request: &Request<B>) -> bool {
    *request.method() != Method::CONNECT
        && request.uri().path_and_query().is_some_and(|target| target.as_str().starts_with('/'))
}

/// An answer's body.
struct Answer<B> {
    body: B,
    activity: Option<Arc<Activity>>,
}

impl<B: Body + Unpin> Body for Answer<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> Drop for Answer<B> {
    fn drop(&mut self) {
        if let Some(activity) = &self.activity {
            activity.set(Phase::Waiting);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    #[tokio::test]
    async fn a_connection_is_served_before_its_answer_is_polled_and_waits_after_it() {
        let activity = Arc::new(Activity::new(Instant::now()));
        activity.set(Phase::Reading);
        let service = tower::service_fn(async |_| Ok(StatusCode::NO_CONTENT.into_response()));
        let answering = answer(service, Request::new(()), activity.clone(), Ok(None));
        assert_eq!(activity.phase(), Phase::Serving);
        drop(answering.await);
        assert_eq!(activity.phase(), Phase::Waiting);
    }
}
